"""Embedders in ONNX: what a file is, and running it on the CPU, on boxes of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reid.errors import WeightsError
from reid.runtime import onnx_session, sha256
from reid.weights_file import FORMAT, EmbedderFile, Preprocessing, described

if TYPE_CHECKING:
    import onnxruntime

SIZE = (256, 128)
"""Height and width of crops where neither file nor user says them."""
BATCH = 16
"""Crops that go through a network at once: more is no faster on a CPU, and takes memory."""
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
    session = _session(path)
    about = session.get_modelmeta().custom_metadata_map
    inputs = {value.name: value for value in session.get_inputs()}
    if about.get("format") == FORMAT:
        kind: Literal["onnx", "onnx_boxes"] = "onnx_boxes" if set(inputs) == {"image", "boxes"} else "onnx"
        return replace(described(path, about), kind=kind)
    shapes = ", ".join(f"{v.name} {v.shape} {v.type}" for v in inputs.values())
    value = next(iter(inputs.values()))
    if len(inputs) != 1 or len(value.shape) != 4 or value.shape[1] != 3 or value.type not in TYPES:
        raise WeightsError(f"{path}: expected one input of crops (N, 3, H, W) in floating point, got {shapes}")
    height, width = value.shape[2:]
    fixed = (height, width) if isinstance(height, int) and isinstance(width, int) else None
    preprocessing = Preprocessing(fixed or size or SIZE)
    probe = CropsSession(session)(np.zeros((1, 3, *preprocessing.size), np.float32))
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
    try:
        return onnx_session(path)
    except Exception as error:
        # ONNX Runtime's exceptions have no base of their own below Exception.
        if type(error).__module__.startswith("onnxruntime"):
            raise WeightsError(f"{path}: damaged, or not an ONNX file ({str(error).splitlines()[0]})") from error
        raise


class CropsSession:
    """A network in ONNX on normalised crops: batches cut to size, padded where the file has a fixed one."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
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
            vectors = self._session.run(None, {self._name: padded})[0][: len(part)]
            parts.append(np.asarray(vectors, np.float32).reshape(len(part), -1))
        together = np.concatenate(parts)
        length = np.linalg.norm(together, axis=1, keepdims=True)
        return np.asarray(together / np.maximum(length, 1e-12), np.float32)


class OnnxRunner:
    """The network in ONNX Runtime, on the CPU: crops are cut picture by picture and embedded together.

    Args:
        network: a file that takes crops, or a picture and boxes.
        preprocessing: of the crops; None where the file cuts them itself.
    """

    name = "onnxruntime"

    def __init__(self, network: Path, preprocessing: Preprocessing | None) -> None:
        session = _session(network)
        self._whole = session if preprocessing is None else None
        self._cut = None if preprocessing is None else onnx_session(cutter(preprocessing))
        self._embed = None if preprocessing is None else CropsSession(session)

    def __call__(
        self, images: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        pairs = zip(images, boxes, strict=True)
        if self._whole is not None:
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
