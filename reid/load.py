"""An embedder's weights, whatever file they are in: what the file says of itself, and its network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reid.errors import WeightsError
from reid.file_kind import Kind, kind_of
from reid.onnx_file import read_onnx
from reid.weights_file import EmbedderFile, described, own_network, read_metadata

if TYPE_CHECKING:
    from torch import nn


def read_about(path: Path, *, size: tuple[int, int] | None = None) -> EmbedderFile:
    """What a weights file is, by its content: safetensors of ours, ONNX of anybody, or a checkpoint of torch.

    Args:
        path: of the file.
        size: height and width of the crops, for files that do not say it.

    Raises:
        WeightsError: missing, damaged, or of another format.
    """
    if not _there(path):
        raise WeightsError(f"{path}: no such weights; `default` is the name of the bundled ones")
    kind = kind_of(path)
    if kind == "safetensors":
        return described(path, read_metadata(path))
    if kind == "checkpoint":
        from reid.checkpoint import read_checkpoint  # torch, for these alone

        return read_checkpoint(path, size=size)
    if kind == "onnx":
        return read_onnx(path, size=size)
    expected = {".onnx": "an ONNX file", ".safetensors": "a safetensors file"}.get(
        path.suffix, "weights of an embedder"
    )
    raise WeightsError(f"{path}: damaged, or not {expected} ({_FOUND[kind]})")


_FOUND: dict[Kind, str] = {
    "torchscript": "a TorchScript program, which could run any code: export to ONNX, or give the state dict alone",
    "openvino": "an OpenVINO folder: export to ONNX",
    "ncnn": "an NCNN folder: export to ONNX",
    "tensorrt": "a TensorRT engine: export to ONNX",
    "text": "text",
    "empty": "an empty file",
    "other": "of no known kind",
}


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def read_network(about: EmbedderFile) -> nn.Module:
    """The network of a weights file, for inference; data only, nothing in the file can run.

    Returns:
        A module that takes normalised RGB crops ``(N, 3, H, W)`` to ``(N, D)`` of unit length.

    Raises:
        WeightsError: the tensors are not those of the architecture, says which; or a file that torch cannot run.
    """
    if about.kind == "checkpoint":
        from reid.checkpoint import checkpoint_network

        return checkpoint_network(about)
    if about.kind != "safetensors":
        raise WeightsError(f"{about.path}: an ONNX file runs in ONNX Runtime on the CPU only; take --device cpu")
    return own_network(about)
