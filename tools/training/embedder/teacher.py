"""The teacher: a network of the Open Model Zoo, run by OpenVINO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.training.embedder.views import TEACHER

MODEL = Path("weights/omz/person-reidentification-retail-0277.xml")
"""Below the data folder; Apache-2.0."""


class Teacher:
    """Vectors of people by the teacher.

    Args:
        model: its description; the weights lie beside it.
        batch: crops that go through together.
        threads: of the CPU.
    """

    def __init__(self, model: Path, *, batch: int = 16, threads: int = 1) -> None:
        import openvino

        core = openvino.Core()
        network = core.read_model(model)
        network.reshape([batch, 3, *TEACHER])
        hints = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self._run = core.compile_model(network, "CPU", hints)
        self.batch = batch

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float16]:
        """``(N, 256)`` of unit length, of crops ``(N, 256, 128, 3)`` BGR."""

        vectors = []
        for start in range(0, len(crops), self.batch):
            part = crops[start : start + self.batch].transpose(0, 3, 1, 2).astype(np.float32)
            full = np.zeros((self.batch, *part.shape[1:]), np.float32)
            full[: len(part)] = part
            vectors.append(next(iter(self._run([full]).values()))[: len(part)])
        found = np.concatenate(vectors).reshape(len(crops), -1)
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float16)
