"""Weights files of embedders: plain tensors beside everything that is needed to use them rightly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import safetensors

from reid.errors import ConfigError, WeightsError
from reid.file_kind import declared_size
from reid.files import replacing
from reid.runtime import sha256

if TYPE_CHECKING:
    from torch import Tensor, nn

    from reid.models import EmbeddingNetwork

FORMAT = "reacquire-embedder/1"
SIDES = (8, 2048)
"""Pixels of a crop's side, at least and at most."""
MOST_DIMENSIONS = 65_536


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a crop becomes the network's input; travels with the weights, so that no caller can get it wrong.

    Attributes:
        size: height and width in pixels.
        mean: of each colour, RGB in 0–1.
        std: standard deviation of each colour, RGB in 0–1.
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


def read_metadata(path: Path) -> dict[str, str]:
    """The words beside the tensors of a safetensors file.

    Raises:
        WeightsError: damaged; says how long the file should be.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file{_lack(path)} ({str(error)[:200]})") from error


def _lack(path: Path) -> str:
    """What a file is short of, by its own header; nothing where that cannot be read."""
    expected, got = declared_size(path), path.stat().st_size
    if got < 8:
        return f": expected at least 8 bytes, got {got}"
    return f": expected {expected:,} bytes, got {got:,}; copy it again" if expected and expected > got else ""


def cut(word: str | None) -> str | None:
    """As much of a fact as an error has room for."""
    return word if word is None else word[:80]


def described(path: Path, about: Mapping[str, str]) -> EmbedderFile:
    """A file of ours by its metadata.

    Raises:
        WeightsError: of another format, or a fact is missing or not understood; names it.
    """
    if about.get("format") != FORMAT:
        raise WeightsError(f"{path}: expected weights of format {FORMAT!r}, got {cut(about.get('format'))!r}")
    for name, expected in (("distance", "cosine"), ("colour", "rgb")):
        if about.get(name) != expected:
            raise WeightsError(f"{path}: expected {name} {expected!r}, got {cut(about.get(name))!r}")
    name = ""
    try:
        values: dict[str, Any] = {}
        for name, read in _FACTS.items():
            values[name] = read(about[name])
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path}: {name!r} is missing or not understood: {cut(about.get(name))!r}") from error
    return EmbedderFile(
        path=path,
        sha256=sha256(path),
        backbone=values["backbone"],
        pooling=values["pooling"],
        dimension=values["dimension"],
        preprocessing=Preprocessing(values["size"], values["mean"], values["std"]),
        threshold=values["threshold"],
    )


def _numbers(text: str, count: int, kind: type, least: float, most: float) -> tuple[Any, ...]:
    values = tuple(kind(value) for value in json.loads(text))
    if len(values) != count or not all(least <= value <= most for value in values):
        raise ValueError(text)
    return values


def _between(text: str, kind: type, least: float, most: float) -> Any:
    value = kind(text)
    if not least <= value <= most:
        raise ValueError(text)
    return value


def _pooling(text: str) -> str:
    if text not in ("average", "gem", "None"):
        raise ValueError(text)
    return text


_FACTS: dict[str, Any] = {
    "backbone": str,
    "pooling": _pooling,
    "dimension": lambda text: _between(text, int, 1, MOST_DIMENSIONS),
    "size": lambda text: _numbers(text, 2, int, *SIDES),
    "mean": lambda text: _numbers(text, 3, float, 0, 1),
    "std": lambda text: _numbers(text, 3, float, 1e-3, 1e3),
    "threshold": lambda text: None if text == "None" else _between(text, float, 0, 2),
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


def own_network(about: EmbedderFile) -> nn.Module:
    """The network of a safetensors file, for inference; see `reid.load.read_network`.

    Raises:
        WeightsError: the tensors are not those of the architecture; says which.
    """
    import torch
    from safetensors.torch import load_file

    from reid.models import create_model

    shapes = shapes_in(about.path)

    def make() -> nn.Module:
        return create_model(about.backbone, dimension=about.dimension, pooling=about.pooling)

    try:
        with torch.device("meta"):  # shapes alone: nothing is made before it is known to be in the file
            check_fit(make(), shapes, f"{about.path}: ", about.backbone)
    except ConfigError as error:
        raise WeightsError(f"{about.path}: {str(error)[:300]}") from error
    network = make()
    fill(network, load_file(about.path), f"{about.path}: ")
    return network.eval()


Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a safetensors file's tensors, from its header alone.

    Raises:
        WeightsError: damaged.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file ({str(error)[:200]})") from error


def misfits(network: nn.Module, shapes: Shapes) -> dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]]:
    """Tensors that are not those of a network: what was expected and what there is, by name.

    Counters of batches are of no use after training, and old checkpoints lack them.
    """
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    names = {n for n in expected.keys() | shapes.keys() if not n.endswith("num_batches_tracked") or n in shapes}
    return {n: (expected.get(n), shapes.get(n)) for n in sorted(names) if expected.get(n) != shapes.get(n)}


def check_fit(network: nn.Module, shapes: Shapes, where: str, architecture: str) -> None:
    """Refuse tensors that are not exactly those of the architecture.

    Raises:
        WeightsError: counts and lists them.
    """
    wrong = misfits(network, shapes)
    if wrong:
        lines = [f"{name[:80]}: expected {expected}, got {got}" for name, (expected, got) in list(wrong.items())[:5]]
        more = f"; and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise WeightsError(f"{where}{len(wrong)} tensors do not fit {architecture}; {'; '.join(lines)}{more}")


def fill(network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Give a network its tensors, which fit, in single precision.

    Raises:
        WeightsError: they are not finite numbers; names the first.
    """
    import torch

    own = network.state_dict()
    try:
        given = {name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}
        bad = [name for name, tensor in given.items() if not torch.isfinite(tensor).all()]
        if bad:
            raise WeightsError(f"{where}damaged: {bad[0]} has NaN or infinity among its numbers")
        network.load_state_dict({**own, **given})
    except (RuntimeError, TypeError, NotImplementedError) as error:  # numbers of a kind that torch cannot take
        raise WeightsError(f"{where}damaged: {str(error).splitlines()[0]}") from error


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
    with replacing(path) as partial:
        save_file(tensors, partial, metadata={**(about or {}), **metadata})


def with_threshold(path: Path, threshold: float) -> None:
    """Store a threshold that was measured after the weights were written."""
    from safetensors.torch import load_file, save_file

    metadata = read_metadata(path)
    renewed = facts(replace(described(path, metadata), threshold=threshold))
    with replacing(path) as partial:
        save_file(load_file(path), partial, metadata={**metadata, **renewed})
