"""ONNX files looked through before they run: what they declare must be in them, and nothing outside them is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reid.errors import WeightsError

if TYPE_CHECKING:
    import onnx

MOST_BYTES = 2**31 - 1
"""Of a file: protobuf's own limit."""
MOST_NUMBERS = 2**29
"""In any tensor whose shape is known beforehand, inside the network too: 2 GiB in single precision."""
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc"}
"""Of operators that ONNX Runtime has by itself; others come from a library of somebody else's."""


def read_model(path: Path) -> onnx.ModelProto:
    """An ONNX file, checked, without what it keeps in other files.

    Raises:
        WeightsError: damaged; a tensor's shape is not that of its numbers, or there is NaN among them; it wants a file
            outside its folder, or operators from a library of their own.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        if path.stat().st_size > MOST_BYTES:
            raise WeightsError(f"{path}: larger than an ONNX file can be ({MOST_BYTES:,} bytes)")
        model = onnx.ModelProto()
        model.ParseFromString(path.read_bytes())
    except (OSError, DecodeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: damaged, or not an ONNX file ({str(error)[:200]})") from error
    if not model.graph.node or not model.graph.output:
        raise WeightsError(f"{path}: damaged, or not an ONNX file (there is no network in it)")
    try:
        _check_operators(path, model)
        for tensor in _tensors(model):
            _check_tensor(path, tensor)
        _check_shapes(path, model)
    except (UnicodeDecodeError, TypeError, ValueError, OverflowError, RecursionError, OSError) as error:
        raise WeightsError(f"{path}: damaged ({str(error)[:200]})") from error
    return model


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    """The words beside the network."""
    return {entry.key: entry.value for entry in model.metadata_props}


def shape(value: Any) -> list[int | str | None]:
    """Of an input or output: numbers, names where any length goes, None where nothing is said."""
    sides = value.type.tensor_type.shape.dim
    return [
        side.dim_value if side.HasField("dim_value") else side.dim_param if side.HasField("dim_param") else None
        for side in sides
    ]


def inputs(model: onnx.ModelProto) -> list[Any]:
    """What a caller must give: old files list the weights among the inputs too."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _graphs(model: onnx.ModelProto) -> Iterator[tuple[Any, list[Any]]]:
    """All graphs and functions with their nodes, those inside of nodes too."""
    waiting: list[Any] = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        nodes = list(graph.node)
        yield graph, nodes
        for node in nodes:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def _check_operators(path: Path, model: onnx.ModelProto) -> None:
    own = {function.domain for function in model.functions}
    for _, nodes in _graphs(model):
        for node in nodes:
            if node.op_type == "EPContext" or node.domain not in DOMAINS | own:
                raise WeightsError(
                    f"{path}: its operator {node.domain[:80] or 'ai.onnx'}.{node.op_type[:80]} comes from a library of "
                    "somebody else's, which is not loaded; export the network without it"
                )


def _tensors(model: onnx.ModelProto) -> Iterator[Any]:
    for graph, nodes in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
        for node in nodes:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors
                for sparse in [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []:
                    yield from (sparse.values, sparse.indices)


def _check_tensor(path: Path, tensor: Any) -> None:
    """What it declares must be there, and be numbers."""
    import onnx

    if tensor.data_type == onnx.TensorProto.STRING:
        return
    sides = list(tensor.dims)
    count = math.prod(sides)
    if min(sides, default=0) < 0 or count > MOST_NUMBERS:
        raise WeightsError(f"{path}: damaged: {tensor.name[:80] or 'a constant'} has the shape {tuple(sides)}")
    try:
        kind = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except KeyError as error:
        raise WeightsError(f"{path}: damaged: {tensor.name[:80]!r} has numbers of an unknown kind") from error
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    raw = _outside(path, tensor) if external else np.frombuffer(tensor.raw_data, np.uint8)
    packed = kind.name in ("int4", "uint4", "float4_e2m1fn", "int2", "uint2")
    if external or tensor.HasField("raw_data"):
        fits = packed or len(raw) == count * kind.itemsize
    else:
        fields = (tensor.float_data, tensor.int32_data, tensor.int64_data, tensor.double_data, tensor.uint64_data)
        held = max(len(field) for field in fields)
        fits = packed or held in (count, 2 * count)  # complex numbers are two
        raw = np.asarray(tensor.float_data, np.float32).view(np.uint8) if len(tensor.float_data) else raw
        kind = np.dtype(np.float32) if len(tensor.float_data) else kind
    if not fits:
        raise WeightsError(
            f"{path}: damaged: {tensor.name[:80] or 'a constant'} has the shape {tuple(sides)}, but not so many numbers"
        )
    if kind.kind == "f" and kind.itemsize in (2, 4, 8) and np.isnan(raw.view(kind)).any():
        raise WeightsError(f"{path}: damaged: {tensor.name[:80] or 'a constant'} has NaN among its numbers")


def _outside(path: Path, tensor: Any) -> NDArray[np.uint8]:
    """The bytes of a tensor that is kept in another file of the same folder."""
    facts = {entry.key: entry.value for entry in tensor.external_data}
    place = facts.get("location", "")
    folder = path.resolve().parent
    file = (folder / place).resolve()
    plain = place and not Path(place).is_absolute() and ".." not in Path(place).parts
    if not plain or not file.is_relative_to(folder) or not file.is_file():
        raise WeightsError(
            f"{path}: keeps {tensor.name[:80]!r} in {place[:200]!r}, which is no file in its own folder; export it as "
            "one file"
        )
    start, size = int(facts.get("offset", 0)), file.stat().st_size
    length = int(facts.get("length", size - start))
    if start < 0 or length < 0 or start + length > size:
        raise WeightsError(f"{path}: keeps {tensor.name[:80]!r} in {place[:200]}, which is too short ({size:,} bytes)")
    return np.memmap(file, np.uint8, "r", start, (length,)) if length else np.empty(0, np.uint8)


def _check_shapes(path: Path, model: onnx.ModelProto) -> None:
    """No tensor whose size is known beforehand is out of all measure: those given, and those that come of them."""
    import onnx

    try:
        known = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (RuntimeError, ValueError, onnx.shape_inference.InferenceError):
        known = model  # ONNX Runtime, which knows more operators, has the last word
    for value in (*known.graph.input, *known.graph.value_info, *known.graph.output):
        sides = shape(value)
        count = math.prod(side for side in sides if isinstance(side, int) and side > 0)
        if any(isinstance(side, int) and side < -1 for side in sides) or count > MOST_NUMBERS:
            raise WeightsError(
                f"{path}: {value.name[:80]!r} would have the shape {sides}: damaged, or too large to run"
            )
