"""`reacquire reid embed`, `forget` and `export`: weights at work elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tracker.cli.console import print_json, stderr
from tracker.cli.progress import FrameProgress
from tracker.cli.reid_options import (
    AsJson,
    Backend,
    Device,
    Overwrite,
    Size,
    Weights,
    embedder_of,
    parsed,
    writable,
)

EMBED_EPILOG = """
[bold]Examples[/]

  reacquire reid embed crops/ --out crops.parquet

  reacquire reid embed crops/ --out crops.npz --weights mine.safetensors

Parquet has columns name and vector, NPZ arrays name (N,) and vector (N, D); both say which weights made them. Vectors
are of unit length: 1 - a·b is the cosine distance. Vectors of people are personal data: the file is readable by you
alone, and `reacquire reid forget` deletes from it.
"""
FORGET_EPILOG = """
[bold]Examples[/]

  reacquire reid forget crops.parquet --match 'anna/*'

  reacquire reid forget crops.parquet
"""
EXPORT_EPILOG = """
[bold]Examples[/]

  reacquire reid export --out default.onnx

  reacquire reid export --weights osnet_x0_25_msmt17.pth --out osnet.onnx --inputs crops --check crops/

With boxes, the file cuts and normalises by itself: image (H, W, 3) uint8 BGR and boxes (N, 4) to vectors (N, D). With
crops, it takes normalised RGB crops (N, 3, h, w), as most other programs want it. The batch is dynamic in both.
"""


def embed(
    images: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of crops.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="A .parquet or .npz of names and vectors.")],
    weights: Weights = "default",
    size: Size = None,
    device: Device = "auto",
    backend: Backend = "auto",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Turn a folder of crops into a file of vectors."""
    from reid.data.sets import images_in
    from reid.vectors import FORMATS, NOTE, Vectors, check_names, write_vectors

    writable(out, overwrite=overwrite, endings=FORMATS)
    paths = images_in(images)
    names = tuple(path.relative_to(images).as_posix() for path in paths)
    check_names(out, names)
    embedder = embedder_of(weights, device, backend, size)
    with FrameProgress("embed", len(paths), unit="crops") as progress:
        vectors = embedder.embed_files(paths, progress=lambda count: progress.advance(count=count))
    write_vectors(out, Vectors(names, vectors, embedder.describe()))
    if as_json:
        print_json({"file": str(out), "vectors": len(names), "dimension": embedder.dimension} | embedder.describe())
    stderr.print(f"{out}: {len(names)} vectors of {embedder.dimension} dimensions", highlight=False)
    stderr.print(NOTE, highlight=False)


def forget(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `reacquire reid embed` wrote.")],
    match: Annotated[
        str | None, typer.Option("--match", metavar="PATTERN", help="Names to delete, with * and ?; all if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Delete vectors from a file, or the file."""
    from reid.vectors import forget as delete

    gone, left = delete(file, match)
    if as_json:
        print_json({"file": str(file), "deleted": gone, "left": left})
    rest = f"{left} left" if left else "the file is deleted"
    stderr.print(f"{file}: {gone} vectors deleted, {rest}", highlight=False)


def export(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The .onnx file.")],
    weights: Weights = "default",
    inputs: Annotated[
        Literal["boxes", "crops"], typer.Option("--inputs", help="A picture and boxes, or normalised crops.")
    ] = "boxes",
    check: Annotated[
        Path | None, typer.Option("--check", metavar="DIR", help="Compare with torch on a folder of crops.")
    ] = None,
    size: Size = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write weights as ONNX, with their preprocessing, distance and threshold inside, and their odds beside them."""
    from reid.calibration import load_calibration, write_calibration
    from reid.crop_network import write_onnx
    from reid.embedder import weights_path
    from reid.load import read_about

    writable(out, overwrite=overwrite, endings=(".onnx",))
    about = read_about(weights_path(weights), size=parsed(size))
    write_onnx(about, out, inputs=inputs)
    calibration = load_calibration(weights)
    if calibration.known.any():
        write_calibration(out, calibration)
    difference = _difference(weights, out, check, size) if check is not None else None
    if as_json:
        print_json({"file": str(out), "dimension": about.dimension, "largest_difference": difference})
    stderr.print(f"{out}: {about.backbone}, {about.dimension} dimensions", highlight=False)
    if difference is not None:
        stderr.print(f"largest difference from torch on {check}: {difference:.1e}", highlight=False)


def _difference(weights: str, exported: Path, crops: Path, size: str | None) -> float:
    """Between the vectors of torch and of the exported file, over all crops and dimensions."""
    import numpy as np

    from reid.data.sets import images_in

    paths = images_in(crops)
    ours = embedder_of(weights, "cpu", "torch", size).embed_files(paths)
    return float(np.abs(ours - embedder_of(str(exported), "cpu", "auto", None).embed_files(paths)).max())
