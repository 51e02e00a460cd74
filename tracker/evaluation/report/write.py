"""Files in, one page out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tracker
from reid.files import write_text
from tracker.errors import DataError
from tracker.evaluation import bootstrap
from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.evaluate import (
    COMBINED,
    Scores,
    combine,
    find_prediction,
    find_sequences,
    prepare_files,
    score_sequence,
)
from tracker.evaluation.frames import find_frames
from tracker.evaluation.report import content
from tracker.evaluation.report.page import page
from tracker.evaluation.report.views import PICTURE, Pictures
from tracker.formats.seqinfo import SequenceInfo, read_sequence_info

MOST_PICTURES = 1200
"""In one page: some 5 kB each."""


def write_report(
    path: Path,
    gt: Path,
    preds: Mapping[str, Path],
    *,
    benchmark: str = "none",
    frames: Path | None = None,
    pictures: int = MOST_PICTURES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, dict[str, Scores]]:
    """Write one HTML file that needs nothing beside it: no network, no other file.

    Args:
        path: of the file; it is there only when it is whole.
        gt: a `gt.txt`, a sequence's folder, or a folder of sequences.
        preds: of one tracker or of two that are compared, by name: each a file, or a folder of `NAME.txt`. Where
            `NAME.explain.parquet` (in the folder of a run: `explain.parquet`) lies beside predictions, the costs that
            decided a switch are shown.
        benchmark: whose rules.
        frames: where the pictures are, see `find_frames`; without it, `img1/` beside the ground truth's folder.
        pictures: in the page at the most; 0 for none.
        progress: takes frames that are read, and how many will be.

    Returns:
        Scores by tracker and sequence, and under "combined" of all together.

    Raises:
        DataError: something missing or malformed, or other than one or two trackers.
        SourceError: frames that cannot be read.
        ReacquireError: the page cannot be written.
    """
    if not 1 <= len(preds) <= 2:
        raise DataError(f"a report shows one tracker or two, got {len(preds)}")
    rules, sequences = rules_of(benchmark), find_sequences(gt)
    scores: dict[str, dict[str, Scores]] = {run: {} for run in preds}
    parts: dict[str, list[content.Part]] = {name: [] for name in sequences}
    for run, folder in preds.items():
        for name, (file, length) in sequences.items():
            pred = find_prediction(name, folder, only=len(sequences) == 1)
            prepared = prepare_files(file, pred, rules, length=length, name=name)
            scores[run][name] = score_sequence(prepared.sequence)
            parts[name].append(content.Part.of(prepared, pred))
        scores[run][COMBINED] = combine(scores[run])
    infos = {name: _info(file) for name, (file, _) in sequences.items()}
    cut = Pictures(pictures)
    folders = _folders(sequences, frames)
    if pictures:
        views = {name: [v for part in of_one for v in part.by_importance()] for name, of_one in parts.items()}
        cut.take(views, folders, progress)
    document = _document(gt, preds, benchmark, scores, parts, infos, cut) | {"framed": sorted(folders)}
    write_text(path, page(document))
    return scores


def _info(gt: Path) -> SequenceInfo:
    return read_sequence_info(gt.parent.parent) if gt.parent.name == "gt" else SequenceInfo()


def _folders(sequences: Mapping[str, tuple[Path, int | None]], frames: Path | None) -> dict[str, Path]:
    found = {name: find_frames(name, file, frames) for name, (file, _) in sequences.items()}
    there = {name: folder for name, folder in found.items() if folder is not None}
    if frames is not None and not there:
        looked = ", ".join(f"{name}/img1" for name in list(sequences)[:3])
        raise DataError(f"{frames}: no frames of any sequence; looked for {looked}, images and NAME.mp4")
    if frames is not None and frames.is_file() and len(sequences) > 1:
        raise DataError(f"{frames}: one video, but several sequences: give a folder of NAME.mp4 or of NAME/img1")
    return there


def _document(
    gt: Path,
    preds: Mapping[str, Path],
    benchmark: str,
    scores: Mapping[str, Mapping[str, Scores]],
    parts: Mapping[str, list[content.Part]],
    infos: Mapping[str, SequenceInfo],
    pictures: Pictures,
) -> dict[str, Any]:
    most = content.MOST_ERRORS // max(1, len(parts))
    runs = [{"name": run, "path": str(preds[run]), "numbers": content.numbers_of(scores[run])} for run in preds]
    sequences = [
        {
            "name": name,
            "frames": scores[next(iter(preds))][name].count.Frames,
            "rate": infos[name].rate,
            "identities": content.identities_of(of_one),
            "errors": [content.errors_of(name, part, pictures, most) for part in of_one],
            "found": [len(part.errors) for part in of_one],
            "recorded": [part.recorded for part in of_one],
        }
        for name, of_one in parts.items()
    ]
    document: dict[str, Any] = {
        "version": tracker.__version__,
        "gt": str(gt),
        "benchmark": benchmark,
        "combined": COMBINED,
        "runs": runs,
        "sequences": sequences,
        "thresholds": content.thresholds(),
        "lower": sorted(bootstrap.LOWER_IS_BETTER),
        "neither": sorted(bootstrap.NEITHER),
        "pictures": {"shown": len(pictures.found), "wanted": pictures.wanted, "most": pictures.most, "size": PICTURE},
    }
    if len(preds) == 2:
        a, b = scores.values()
        document["differences"] = content.differences_of(a, b)
        document["caution"] = bootstrap.caution(len(sequences))
    return document
