"""Tracks of finished runs with their pictures, read again from the source, for learning from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tracker.cli.console import stderr
from tracker.cli.progress import FrameProgress

if TYPE_CHECKING:
    from reid.calibration.stream import Boxes, Looked
    from reid.embedder import Embedder
    from tracker.types import Frame


@dataclass(frozen=True, slots=True, eq=False)
class RunTracks:
    """What one run saw.

    Attributes:
        folder: of the run.
        source: file or folder that it tracked.
        boxes: of its tracks, without those that nobody saw.
    """

    folder: Path
    source: Path
    boxes: Boxes


def read_run(folder: Path) -> RunTracks:
    """The tracks of a run, and where its pictures are.

    Args:
        folder: as `reacquire track` wrote it, with a table that has times (Parquet, CSV or JSON Lines).

    Raises:
        DataError: no run, no such table, or the source is not there any more.
    """
    from reid.calibration.stream import Boxes
    from tracker.run.refinement import read_tracks

    source = _source(folder)
    table = read_tracks(folder)
    seen = table.take(~(table.predicted | table.filled))
    time = np.zeros(0) if seen.time is None else seen.time
    return RunTracks(folder, source, Boxes.of(seen.frame, time, seen.id, seen.xyxy, seen.score))


def _source(folder: Path) -> Path:
    from tracker.errors import DataError
    from tracker.run.folder import RECORD

    record = folder / RECORD
    try:
        about = json.loads(record.read_text(encoding="utf-8"))["source"]
        place = Path(about.get("place") or about["name"])
    except FileNotFoundError:
        raise DataError(f"{folder}: no run: there is no {RECORD} in it") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{record}: damaged: it does not say what was tracked ({error})") from error
    if about.get("kind") in ("stream", "webcam"):
        raise DataError(f"{folder}: came from a live {about['kind']}, whose pictures cannot be read again")
    if not place.exists():
        raise DataError(
            f"{folder}: its pictures are read again from {place}, which is not there; put it back, or track it again"
        )
    return place


def pictures(
    run: RunTracks, rows: NDArray[np.int64], report: Callable[[str], None]
) -> Iterator[tuple[Frame, NDArray[np.int64]]]:
    """The pictures that some boxes are in, each with the places of its boxes among `rows`.

    Raises:
        DataError: the source lacks a picture: it is another one than was tracked.
    """
    from tracker.errors import DataError
    from tracker.sources import open_source

    frame = run.boxes.frame[rows]
    wanted = set(frame.tolist())
    with open_source(run.source, report=report) as source:
        for picture in source.at(wanted):
            wanted.discard(picture.index)
            yield picture, np.flatnonzero(frame == picture.index)
    if wanted:
        raise DataError(
            f"{run.source}: has no picture {min(wanted) + 1}, in which {run.folder} saw somebody; was it changed?"
        )


def looked_at(run: RunTracks, embedder: Embedder) -> tuple[NDArray[np.int64], Looked]:
    """Some boxes of every track, embedded.

    Returns:
        Rows of the run's boxes, and what was seen of them.
    """
    from reid.calibration.stream import look, worth_looking

    rows = worth_looking(run.boxes)

    def say(line: str) -> None:
        stderr.print(line, highlight=False, markup=False)

    with FrameProgress(str(run.folder), len(np.unique(run.boxes.frame[rows]))) as progress:

        def images() -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
            for frame, places in pictures(run, rows, say):
                yield frame.image, places
                progress.advance()

        return rows, look(embedder, run.boxes, rows, images())
