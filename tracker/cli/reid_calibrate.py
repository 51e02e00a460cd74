"""`reacquire reid calibrate`: what distances of embeddings are worth as evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table

from tracker.cli.console import print_json, stderr, stdout
from tracker.cli.progress import FrameProgress
from tracker.cli.reid_options import WEIGHTS, AsJson, Backend, Device, Overwrite, Size, embedder_of
from tracker.cli.reid_runs import RunTracks, looked_at, read_run

if TYPE_CHECKING:
    from reid.calibration import Calibration, PairCounts
    from reid.data.cropset import CropSet
    from reid.embedder import Embedder

EPILOG = """
[bold]Examples[/]

  reacquire reid calibrate mine.safetensors people/val

  reacquire reid calibrate other.onnx crops/ --format folders --out other.calibration.json

  reacquire reid calibrate left-out.safetensors unseen/ --out unseen.json

  reacquire reid calibrate mine.safetensors seen/ --add unseen.json

Folders are data sets with labels; each is taken by itself, so give the folder above a query and its gallery. People
that the network was trained on make its odds too sure: calibrate on others. Without --out the odds are put into the
weights (safetensors), or beside them as NAME.calibration.json, where `track`, `live` and `identities` find them.
"""


def calibrate(
    weights: Annotated[str, typer.Argument(metavar="WEIGHTS", help=WEIGHTS)] = "default",
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="FOLDER…", help="Crops of which it is known who is who.")
    ] = None,
    runs: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="RUN", help="Learn from this run, without labels; may be given again."),
    ] = None,
    data_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="market1501, dukemtmc, msmt17, cuhk03, veri776, mot, or folders (identity/crop.jpg).",
        ),
    ] = "market1501",
    add: Annotated[
        list[Path] | None,
        typer.Option("--add", metavar="FILE.json", help="Add the pairs of this calibration; may be given again."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FILE.json", help="Write the odds here, and leave the weights as they are."
        ),
    ] = None,
    size: Size = None,
    device: Device = "auto",
    backend: Backend = "auto",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Learn what distances mean: log-likelihood ratios of tracklets, within a camera and across cameras."""
    from reid.calibration import load_calibration, write_calibration

    if not folders and not add and not runs:
        raise typer.BadParameter(
            "nothing to learn from: give a FOLDER of labelled crops, --from RUN, or --add FILE.json"
        )
    target = _target(weights, out, overwrite=overwrite)
    seen = [read_run(folder) for folder in runs or []]  # before anything is embedded
    known = _labelled(weights, folders or [], data_format, add or [], (size, device, backend))
    if runs:
        own = known or load_calibration(weights)
        made = _corrected(own, seen, embedder_of(weights, device, backend, size))
    else:
        assert known is not None
        made = known
    written = write_calibration(target, made)
    if as_json:
        print_json({"file": str(written), **summary(made)})
    else:
        print_calibration(made)
    stderr.print(f"{written}: written", highlight=False)


def _labelled(
    weights: str, folders: list[Path], data_format: str, add: list[Path], running: tuple[str | None, str, Any]
) -> Calibration | None:
    """What labelled crops and other calibrations say; None where neither was given."""
    from reid.calibration import Calibration, PairCounts, load_calibration
    from reid.errors import DataError

    if not folders and not add:
        return None
    added = [load_calibration(path) for path in add]
    counts = sum((calibration.counts for calibration in added), PairCounts.none())
    if folders:
        counts = counts + _count(weights, folders, data_format, *running)
    about = [calibration.about.get("data", str(path)) for calibration, path in zip(added, add, strict=True)]
    about += [f"{Path(weights).name} on {_spoken(folder)} ({data_format})" for folder in folders]
    quality = next((calibration.quality for calibration in added if calibration.quality), None)
    made = Calibration.fitted(counts, {"data": "; ".join(about)}, quality=quality)
    if not made.known.any():
        raise DataError(
            f"{', '.join(map(str, [*folders, *add]))}: too few tracklets to say anything: it takes 30 pairs of one "
            "identity in two crops of a camera, or of two cameras"
        )
    return made


def _corrected(before: Calibration, runs: list[RunTracks], embedder: Embedder) -> Calibration:
    """With the pairs of runs: tracks seen at once are two, the halves of a track are one."""
    from reid.calibration import PairCounts
    from reid.calibration.quality import Quality
    from reid.calibration.stream import count_seen, from_own_track

    counts, cues, distances, people = PairCounts.none(), [], [], []
    for number, run in enumerate(runs):
        rows, looked = looked_at(run, embedder)
        counts = counts + count_seen(run.boxes, rows, looked.vector)
        cues.append(looked.cues)
        distances.append(from_own_track(run.boxes, rows, looked.vector))
        people.append(run.boxes.track[rows] + number * MOST_TRACKS)
    words = f"{before.about.get('data', '')}; without labels, {', '.join(_spoken(run.folder) for run in runs)}"
    made = before.with_pairs(counts).renamed(data=words.removeprefix("; "))
    learned = Quality.fitted(np.concatenate(cues), np.concatenate(distances), np.concatenate(people))
    return replace(made, quality=before.quality or learned)


def _target(weights: str, out: Path | None, *, overwrite: bool) -> Path:
    from reid.embedder import weights_path
    from reid.errors import DataError
    from tracker.cli.reid_options import writable

    if out is not None:
        writable(out, overwrite=overwrite, endings=(".json",))
        return out
    if weights == "default":
        raise DataError("the bundled weights stay as they are: give --out FILE.json")
    return weights_path(weights)


def _spoken(folder: Path) -> str:
    """The last parts of a folder's path, which say what it is and not whose machine this is."""
    return "/".join(folder.absolute().parts[-3:])


def _count(
    weights: str, folders: list[Path], data_format: str, size: str | None, device: str, backend: Any
) -> PairCounts:
    from reid.calibration.measure import count_labelled
    from reid.data.sets import read_set

    sets: list[CropSet] = [read_set(data_format, folder) for folder in folders]
    embedder = embedder_of(weights, device, backend, size)
    with FrameProgress(weights, sum(map(len, sets)), unit="crops") as progress:
        return count_labelled(embedder, sets, progress=lambda count: progress.advance(count=count))


MOST_TRACKS = 1 << 40
"""Of a run: beyond, another run's tracks are counted."""
SHOWN = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Distances of the table."""


def summary(calibration: Calibration) -> dict[str, Any]:
    """As plain values: pairs, and evidence by distance."""
    from reid.calibration import SIZES

    return {
        name: {
            "known": calibration.knows(across=across),
            "embeddings": {
                str(n): {
                    "pairs": calibration.pairs(across=across, size=n),
                    "log_likelihood_ratio": dict(
                        zip(
                            map(str, SHOWN),
                            calibration.log_likelihood_ratio(SHOWN, n, n, across=across).round(3).tolist(),
                            strict=True,
                        )
                    ),
                }
                for n in SIZES
            },
        }
        for name, across in (("within", False), ("across", True))
    }


def print_calibration(calibration: Calibration) -> None:
    """Evidence by distance, a row for each regime and size."""
    table = Table(box=None, padding=(0, 1))
    for heading in ("", "a side", "pairs of one", "of two", *map(str, SHOWN)):
        table.add_column(heading, justify="right" if heading else "left")
    for name, regime in summary(calibration).items():
        if not regime["known"]:
            table.add_row(name, "", *map(str, regime["embeddings"]["1"]["pairs"]), "not known: too few pairs")
            continue
        for n, row in regime["embeddings"].items():
            values = [f"{value:+.1f}" for value in row["log_likelihood_ratio"].values()]
            table.add_row(name, n, *(f"{pairs:,}" for pairs in row["pairs"]), *values)
    stdout.print("Evidence for one identity by cosine distance of tracklets, natural logarithms of odds:")
    stdout.print(table, highlight=False)
