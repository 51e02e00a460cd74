"""Weights files of embedders: plain tensors beside everything that is needed to use them rightly."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import safetensors

from reid.errors import WeightsError
from reid.runtime import sha256

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reid.models import EmbeddingNetwork

FORMAT = "reacquire-embedder/1"
CHECKPOINTS = {".pth", ".pt", ".tar", ".ckpt", ".bin"}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a crop becomes the network's input; travels with the weights, so that no caller can get it wrong.

    Attributes:
        size: height and width in pixels.
        mean: of each colour, RGB in 0–1.
        std: likewise.
    """

    size: tuple[int, int]
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class EmbedderFile:
    """What a weights file says of itself.

    Attributes:
        path: of the file.
        sha256: of its content.
        backbone: the network's name; "onnx" where a file does not tell.
        pooling: its pooling's name; None where the file holds a whole network.
        dimension: D of the embedding.
        preprocessing: of its input.
        threshold: cosine distance up to which two crops are recommended to be called the same identity; None
            where nobody measured it.
        kind: `safetensors` (ours), `checkpoint` (another project's tensors), `onnx` (crops in) or `onnx_boxes` (a
            picture and boxes in, as `reacquire reid export` writes it).
    """

    path: Path
    sha256: str
    backbone: str
    pooling: Any
    dimension: int
    preprocessing: Preprocessing
    threshold: float | None
    kind: Literal["safetensors", "checkpoint", "onnx", "onnx_boxes"] = "safetensors"


def read_about(path: Path, *, size: tuple[int, int] | None = None) -> EmbedderFile:
    """What a weights file is: `.safetensors` of ours, `.onnx` of anybody, or a `.pth` checkpoint.

    Args:
        path: of the file.
        size: height and width of the crops, for files that do not say it.

    Raises:
        WeightsError: missing, damaged, or of another format.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights; `default` is the name of the bundled ones")
    if path.suffix == ".onnx":
        from reid.onnx_file import read_onnx

        about = read_onnx(path, size=size)
    elif path.suffix in CHECKPOINTS:
        from reid.checkpoint import read_checkpoint

        about = read_checkpoint(path, size=size)
    else:
        about = described(path, read_metadata(path))
    return about


def read_metadata(path: Path) -> dict[str, str]:
    """The words beside the tensors of a safetensors file.

    Raises:
        WeightsError: damaged; says how long the file should be.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file{_lack(path)} ({error})") from error


def _lack(path: Path) -> str:
    """What a file is short of, by its own header; nothing where that cannot be read."""
    content = path.read_bytes()
    if len(content) < 8:
        return f": expected at least 8 bytes, got {len(content)}"
    expected = 8 + struct.unpack("<Q", content[:8])[0]
    if expected <= len(content):
        try:
            header = json.loads(content[8:expected])
            expected += max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
        except (ValueError, KeyError, TypeError, AttributeError):
            return ""
    elif expected > 100_000_000:  # no header is so long: the first bytes are something else
        return ""
    return f": expected {expected:,} bytes, got {len(content):,}; copy it again" if expected > len(content) else ""


def described(path: Path, about: Mapping[str, str]) -> EmbedderFile:
    """A file of ours by its metadata.

    Raises:
        WeightsError: of another format, or a fact is missing or not understood; names it.
    """
    if about.get("format") != FORMAT:
        raise WeightsError(f"{path}: expected weights of format {FORMAT!r}, got {about.get('format')!r}")
    for name, expected in (("distance", "cosine"), ("colour", "rgb")):
        if about.get(name) != expected:
            raise WeightsError(f"{path}: expected {name} {expected!r}, got {about.get(name)!r}")
    name = ""
    try:
        values: dict[str, Any] = {}
        for name, read in _FACTS.items():
            values[name] = read(about[name])
    except (KeyError, ValueError, TypeError) as error:
        raise WeightsError(f"{path}: {name!r} is missing or not understood: {about.get(name)!r}") from error
    return EmbedderFile(
        path=path,
        sha256=sha256(path),
        backbone=values["backbone"],
        pooling=values["pooling"],
        dimension=values["dimension"],
        preprocessing=Preprocessing(values["size"], values["mean"], values["std"]),
        threshold=values["threshold"],
    )


def _numbers(text: str, count: int, kind: type) -> tuple[Any, ...]:
    values = tuple(kind(value) for value in json.loads(text))
    if len(values) != count or not all(value > 0 for value in values):
        raise ValueError(text)
    return values


_FACTS: dict[str, Any] = {
    "backbone": str,
    "pooling": str,
    "dimension": int,
    "size": lambda text: _numbers(text, 2, int),
    "mean": lambda text: _numbers(text, 3, float),
    "std": lambda text: _numbers(text, 3, float),
    "threshold": lambda text: None if text == "None" else float(text),
}


def facts(about: EmbedderFile) -> dict[str, str]:
    """The metadata that `described` reads, as words."""
    return {
        "format": FORMAT,
        "backbone": about.backbone,
        "pooling": str(about.pooling),
        "dimension": str(about.dimension),
        "size": json.dumps(about.preprocessing.size),
        "mean": json.dumps(about.preprocessing.mean),
        "std": json.dumps(about.preprocessing.std),
        "colour": "rgb",
        "distance": "cosine",
        "threshold": str(about.threshold),
    }


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
    from safetensors.torch import load_file

    from reid.models import create_model

    tensors = {name: tensor.float() for name, tensor in load_file(about.path).items()}
    network = create_model(about.backbone, dimension=about.dimension, pooling=about.pooling)
    fit(network, tensors, f"{about.path}: ", about.backbone)
    return network.eval()


def fit(network: nn.Module, tensors: Mapping[str, Tensor], where: str, architecture: str) -> None:
    """Load tensors that must be exactly those of the architecture.

    Raises:
        WeightsError: they are not; counts and lists them.
    """
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    got = {name: tuple(t.shape) for name, t in tensors.items()}
    # Counters of batches are of no use after training, and old checkpoints lack them.
    counters = {name: t for name, t in network.state_dict().items() if name.endswith("num_batches_tracked")}
    wrong = sorted(n for n in (expected.keys() | got.keys()) - counters.keys() if expected.get(n) != got.get(n))
    if wrong:
        lines = [f"{name}: expected {expected.get(name)}, got {got.get(name)}" for name in wrong[:5]]
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise WeightsError(f"{where}{len(wrong)} tensors do not fit {architecture}; {'; '.join(lines)}{more}")
    network.load_state_dict({**counters, **{name: tensors[name] for name in expected.keys() - counters.keys()}})


def save_weights(
    path: Path,
    network: EmbeddingNetwork,
    *,
    backbone: str,
    pooling: str,
    preprocessing: Preprocessing,
    threshold: float | None,
    about: dict[str, str] | None = None,
) -> None:
    """Write a network as the package carries it: half-precision tensors, without the classifier.

    The file appears under its name when it is whole.

    Args:
        path: of the `.safetensors` file.
        network: trained.
        backbone: its name.
        pooling: its pooling's name.
        preprocessing: of its input.
        threshold: cosine distance up to which two crops are recommended to be called the same identity; None
            where it was not measured.
        about: further facts: data, licence, recipe.
    """
    from safetensors.torch import save_file

    state = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier.")}
    tensors = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
    dimension = int(network.neck.num_features)
    metadata = facts(EmbedderFile(path, "", backbone, pooling, dimension, preprocessing, threshold))
    partial = path.with_name(f".{path.name}.partial")
    try:
        save_file(tensors, partial, metadata={**(about or {}), **metadata})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def with_threshold(path: Path, threshold: float) -> None:
    """Store a threshold that was measured after the weights were written."""
    from safetensors.torch import load_file, save_file

    metadata = read_metadata(path)
    partial = path.with_name(f".{path.name}.partial")
    save_file(
        load_file(path),
        partial,
        metadata={**metadata, **facts(replace(described(path, metadata), threshold=threshold))},
    )
    partial.replace(path)
