"""Embedders in ONNX: what a file is, and running it on the CPU, on boxes of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import WeightsError
from reid.onnx_check import metadata, read_model
from reid.runtime import onnx_errors, onnx_session, sha256
from reid.weights_file import FORMAT, SIDES, EmbedderFile, Preprocessing, described

if TYPE_CHECKING:
    import onnxruntime

SIZE = (256, 128)
"""Height and width of crops where neither file nor user says them."""
BATCH = 16
"""Crops that go through a network at once: more is no faster on a CPU, and takes memory."""
MOST_CROPS = 1024
"""That a file may take at once, always."""
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


def read_onnx(path: Path, *, size: tuple[int, int] | None = None) -> EmbedderFile:
    """What an ONNX file is: ours says all by itself; of others, shapes are read and the rest is as is usual.

    Others take RGB crops ``(N, 3, H, W)``, normalised by ImageNet's mean and deviation, to ``(N, D)``.

    Args:
        path: of the file.
        size: height and width of its crops, where the file leaves them open.

    Raises:
        WeightsError: damaged, or its inputs and outputs are others.
    """
    words = metadata(read_model(path))
    session = _session(path)
    inputs = {value.name: value for value in session.get_inputs()}
    if words.get("format") == FORMAT:
        kind: Literal["onnx", "onnx_boxes"] = "onnx_boxes" if set(inputs) == {"image", "boxes"} else "onnx"
        about = replace(described(path, words), kind=kind)
        _check_ours(about, session)
        return about
    preprocessing = Preprocessing(_crop_size(path, list(inputs.values())) or size or SIZE)
    outputs = session.get_outputs()
    if len(outputs) != 1:
        shapes = ", ".join(f"{value.name} {value.shape}" for value in outputs)
        raise WeightsError(
            f"{path}: has {len(outputs)} outputs ({shapes}), and does not say which is the embedding; export it with "
            "that one alone (onnx.utils.extract_model takes it out)"
        )
    probe = CropsSession(session, path)(np.zeros((1, 3, *preprocessing.size), np.float32))
    if not np.isfinite(probe).all():
        raise WeightsError(f"{path}: gives vectors that are not finite; damaged")
    return EmbedderFile(
        path=path,
        sha256=sha256(path),
        backbone="onnx",
        pooling=None,
        dimension=probe.shape[1],
        preprocessing=preprocessing,
        threshold=None,
        kind="onnx",
    )


def _session(path: Path) -> onnxruntime.InferenceSession:
    with onnx_errors(str(path)):
        return onnx_session(path)


def _crop_size(path: Path, inputs: list[Any]) -> tuple[int, int] | None:
    """Height and width of the crops; None where the file leaves them open."""
    shapes = ", ".join(f"{value.name} {value.shape} {value.type}" for value in inputs)
    sides = inputs[0].shape if inputs else []
    if len(inputs) != 1 or len(sides) != 4 or sides[1] != 3 or inputs[0].type not in TYPES:
        raise WeightsError(f"{path}: expected one input of crops (N, 3, H, W) in floating point, got {shapes}")
    batch, _, height, width = sides
    if isinstance(batch, int) and not 0 < batch <= MOST_CROPS:
        raise WeightsError(f"{path}: takes {batch:,} crops at once; expected 1 to {MOST_CROPS}")
    if not isinstance(height, int) or not isinstance(width, int):
        return None
    if not all(SIDES[0] <= side <= SIDES[1] for side in (height, width)):
        raise WeightsError(f"{path}: takes crops of {width}x{height}; expected sides of {SIDES[0]} to {SIDES[1]}")
    return height, width


def _check_ours(about: EmbedderFile, session: onnxruntime.InferenceSession) -> None:
    """What a file of ours says must be what it does, on one box of an even picture."""
    cuts_itself = about.kind == "onnx_boxes"
    if not cuts_itself:
        fixed = _crop_size(about.path, session.get_inputs())
        if fixed not in (None, about.preprocessing.size):
            raise WeightsError(f"{about.path}: says crops of {about.preprocessing.size}, but takes {fixed}; damaged")
    run = OnnxRunner(about.path, None if cuts_itself else about.preprocessing, session)
    probe = run([np.full((64, 64, 3), 128, np.uint8)], [np.array([[8, 8, 40, 56]], np.float32)])
    if probe.shape != (1, about.dimension) or not np.isfinite(probe).all():
        raise WeightsError(
            f"{about.path}: damaged: says that it gives {about.dimension} finite numbers a crop, and does not "
            f"(its output has the shape {probe.shape})"
        )


class CropsSession:
    """A network in ONNX on normalised crops: batches cut to size, padded where the file has a fixed one."""

    def __init__(self, session: onnxruntime.InferenceSession, path: Path) -> None:
        self._session, self._path = session, path
        value = session.get_inputs()[0]
        self._name, self._type = value.name, TYPES[value.type]
        self._fixed = value.shape[0] if isinstance(value.shape[0], int) else None

    def __call__(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(N, 3, H, W)`` to ``(N, D)`` of unit length."""
        batch = self._fixed or BATCH
        parts = []
        for start in range(0, len(crops), batch):
            part = crops[start : start + batch].astype(self._type, copy=False)
            missing = batch - len(part) if self._fixed else 0
            padded = np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)]) if missing else part
            with onnx_errors(str(self._path)):
                vectors = np.asarray(self._session.run(None, {self._name: padded})[0], np.float32)
            if len(vectors) != len(padded):
                raise WeightsError(f"{self._path}: gave {len(vectors)} vectors of {len(padded)} crops: no embedder")
            parts.append(vectors[: len(part)].reshape(len(part), -1))
        together = np.concatenate(parts)
        length = np.linalg.norm(together, axis=1, keepdims=True)
        return np.asarray(together / np.maximum(length, 1e-12), np.float32)


class OnnxRunner:
    """The network in ONNX Runtime, on the CPU: crops are cut picture by picture and embedded together.

    Args:
        network: a file that takes crops, or a picture and boxes.
        preprocessing: of the crops; None where the file cuts them itself.
        session: of the file, where it is open already.
    """

    name = "onnxruntime"

    def __init__(
        self,
        network: Path,
        preprocessing: Preprocessing | None,
        session: onnxruntime.InferenceSession | None = None,
    ) -> None:
        session = session or _session(network)
        self._path = network
        self._whole = session if preprocessing is None else None
        self._cut = None if preprocessing is None else onnx_session(cutter(preprocessing))
        self._embed = None if preprocessing is None else CropsSession(session, network)

    def __call__(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        pairs = zip(images, boxes, strict=True)
        if self._whole is not None:
            with onnx_errors(str(self._path)):
                return np.concatenate([self._whole.run(None, {"image": i, "boxes": b})[0] for i, b in pairs])
        assert self._cut is not None
        assert self._embed is not None
        return self._embed(np.concatenate([self._cut.run(None, {"planes": rgb(i), "boxes": b})[0] for i, b in pairs]))


def rgb(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(H, W, 3)`` BGR to ``(3, H, W)`` RGB; OpenCV does it several times as fast as a transposition."""
    import cv2

    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(image, [planes[2], planes[1], planes[0]])
    return planes


def cutter(preprocessing: Preprocessing) -> bytes:
    """An ONNX graph that cuts and normalises: `planes` (3, H, W) uint8 RGB and `boxes` (N, 4) to crops (N, 3, h, w).

    It is `CropNetwork.cut` and its normalisation, written out, so that ONNX files of others need no torch.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    height, width = preprocessing.size
    constants: dict[str, NDArray[Any]] = {
        "zero": np.zeros(1, np.int64),
        "mean": 255 * np.array(preprocessing.mean, np.float32)[:, None, None],
        "scale": 255 * np.array(preprocessing.std, np.float32)[:, None, None],
    }
    nodes = [
        helper.make_node("Unsqueeze", ["planes", "zero"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["picture"], to=TensorProto.FLOAT),
        helper.make_node("Shape", ["boxes"], ["count"], start=0, end=1),
        helper.make_node(
            "ConstantOfShape", ["count"], ["which"], value=helper.make_tensor("v", TensorProto.INT64, [1], [0])
        ),
        helper.make_node(
            "RoiAlign",
            ["picture", "boxes", "which"],
            ["cut"],
            output_height=height,
            output_width=width,
            sampling_ratio=0,
            spatial_scale=1.0,
            coordinate_transformation_mode="half_pixel",
        ),
        helper.make_node("Sub", ["cut", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["crops"]),
    ]
    graph = helper.make_graph(
        nodes,
        "cutter",
        [
            helper.make_tensor_value_info("planes", TensorProto.UINT8, [3, "height", "width"]),
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["boxes", 4]),
        ],
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["boxes", 3, height, width])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
