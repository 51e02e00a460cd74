"""Options that several verbs of `reacquire reid` share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from reid.embedder import Embedder

BackendName = Literal["auto", "torch", "onnx"]

WEIGHTS = "default (bundled), .safetensors of ours, .onnx, or a .pth of torchreid's OSNet."
Weights = Annotated[str, typer.Option("--weights", "-w", metavar="WEIGHTS", help=WEIGHTS)]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda:0", help="Where the network runs.")]
Backend = Annotated[
    BackendName, typer.Option("--backend", help="What runs it; auto is ONNX Runtime on a CPU, torch on a GPU.")
]
Size = Annotated[
    str | None,
    typer.Option("--size", metavar="HxW", help="Of the crops, for weights of others that do not say it: 256x128."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")]


def embedder_of(weights: str, device: str, backend: BackendName, size: str | None, *, strict: bool = True) -> Embedder:
    """The embedder that the options name; strict refuses a size where the file says another one itself."""
    from reid import WeightsError, load_embedder

    embedder = load_embedder(weights, device=device, backend=backend, size=parsed(size))
    own = embedder.about.preprocessing.size
    if strict and size is not None and own != parsed(size):
        raise WeightsError(f"{weights}: its crops are {own[0]}x{own[1]}, as the file itself says; leave out --size")
    return embedder


def parsed(size: str | None) -> tuple[int, int] | None:
    """HxW as numbers."""
    if size is None:
        return None
    found = re.fullmatch(r"(\d+)[x×](\d+)", size)
    if found is None or not (8 <= int(found[1]) <= 2048 and 8 <= int(found[2]) <= 2048):
        raise typer.BadParameter(f"--size: expected height x width in pixels, like 256x128, got {size!r}")
    return int(found[1]), int(found[2])


def writable(path: Path, *, overwrite: bool, endings: Sequence[str]) -> None:
    """Refuse a file that cannot be written, before work is done."""
    from tracker.errors import DataError

    if path.suffix not in endings:
        raise DataError(f"{path}: expected a name that ends in {' or '.join(endings)}")
    if not path.absolute().parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.absolute().parent}")
    if path.exists() and not overwrite:
        raise DataError(f"{path}: is there already; take another name, or --overwrite")
