"""Weights files of embedders: plain tensors beside everything that is needed to use them rightly."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors

from reid.errors import WeightsError
from reid.runtime import sha256

if TYPE_CHECKING:
    from reid.models import EmbeddingNetwork

FORMAT = "reacquire-embedder/1"


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
        backbone: the network's name.
        pooling: its pooling's name.
        dimension: D of the embedding.
        preprocessing: of its input.
        threshold: cosine distance up to which two crops are recommended to be called the same identity.
    """

    path: Path
    sha256: str
    backbone: str
    pooling: Any
    dimension: int
    preprocessing: Preprocessing
    threshold: float


def read_about(path: Path) -> EmbedderFile:
    """What a weights file is, without its tensors.

    Raises:
        WeightsError: missing, damaged, or of another format.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights; `default` is the name of the bundled ones")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: damaged, or not a safetensors file ({error})") from error
    if about.get("format") != FORMAT:
        raise WeightsError(f"{path}: expected weights of format {FORMAT!r}, got {about.get('format')!r}")
    height, width = json.loads(about["size"])
    mean, std = (tuple(json.loads(about[name])) for name in ("mean", "std"))
    return EmbedderFile(
        path=path,
        sha256=sha256(path),
        backbone=about["backbone"],
        pooling=about["pooling"],
        dimension=int(about["dimension"]),
        preprocessing=Preprocessing((height, width), mean, std),
        threshold=float(about["threshold"]),
    )


def read_network(about: EmbedderFile) -> EmbeddingNetwork:
    """The network of a weights file, for inference; data only, nothing in the file can run.

    Raises:
        WeightsError: the tensors are not those of the architecture; says which.
    """
    from safetensors.torch import load_file

    from reid.models import create_model

    tensors = {name: tensor.float() for name, tensor in load_file(about.path).items()}
    network = create_model(about.backbone, dimension=about.dimension, pooling=about.pooling)
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    got = {name: tuple(t.shape) for name, t in tensors.items()}
    wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
    if wrong:
        raise WeightsError(
            f"{about.path}: {len(wrong)} tensors do not fit {about.backbone}; {wrong[0]}: "
            f"expected {expected.get(wrong[0])}, got {got.get(wrong[0])}"
        )
    network.load_state_dict(tensors)
    return network.eval()


def save_weights(
    path: Path,
    network: EmbeddingNetwork,
    *,
    backbone: str,
    pooling: str,
    preprocessing: Preprocessing,
    threshold: float,
    about: dict[str, str] | None = None,
) -> None:
    """Write a network as the package carries it: half-precision tensors, without the classifier.

    Args:
        path: of the `.safetensors` file.
        network: trained.
        backbone: its name.
        pooling: its pooling's name.
        preprocessing: of its input.
        threshold: cosine distance up to which two crops are recommended to be called the same identity.
        about: further facts: data, licence, recipe.
    """
    from safetensors.torch import save_file

    state = {k: v for k, v in network.state_dict().items() if not k.startswith("classifier.")}
    tensors = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state.items()}
    metadata = {
        "format": FORMAT,
        "backbone": backbone,
        "pooling": pooling,
        "dimension": str(network.neck.num_features),
        "size": json.dumps(preprocessing.size),
        "mean": json.dumps(preprocessing.mean),
        "std": json.dumps(preprocessing.std),
        "colour": "rgb",
        "distance": "cosine",
        "threshold": str(threshold),
    }
    save_file(tensors, path, metadata={**(about or {}), **metadata})
