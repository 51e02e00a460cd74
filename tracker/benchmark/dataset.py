"""MOTChallenge-style data sets on disk: which sequences there are, and which of their frames a split takes.

``DIR/train/SEQ/{img1,gt,det,seqinfo.ini}`` is the layout of MOT15, MOT16, MOT17, MOT20, DanceTrack and SportsMOT;
DIR may also be a split itself, or one sequence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tracker.errors import DataError
from tracker.formats.mot import read_detections, read_mot
from tracker.formats.seqinfo import read_sequence_info
from tracker.sources.images import NOMINAL_RATE, image_files

Split = Literal["train", "train-half", "val-half", "val", "test"]
SPLITS: tuple[str, ...] = get_args(Split)

VARIANTS = ("FRCNN", "DPM", "SDP")
"""The detectors of MOT17, of which each sequence is there three times, best known first."""

MOT15 = re.compile(r"(TUD|ETH|ADL|KITTI|PETS09|Venice|AVG)-")
BENCHMARKS = (
    ("mot17", re.compile(r"MOT17-")),
    ("mot16", re.compile(r"MOT16-")),
    ("mot20", re.compile(r"MOT20-")),
    ("dancetrack", re.compile(r"dancetrack\d")),
    ("sportsmot", re.compile(r"v_.+_c\d+")),
    ("mot15", MOT15),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFolder:
    """One sequence, or the half of one.

    Attributes:
        name: of the folder; results are `NAME.txt`.
        folder: where it is.
        split: what was asked for.
        images: folder of frames, or None.
        gt: file of ground truth, or None.
        public: file of public detections, or None.
        rate: frames a second.
        size: width and height in pixels; zeros where nothing says it.
        start: frames of the whole sequence that come before the first.
        length: frames.
        whole: frames of the whole sequence.
    """

    name: str
    folder: Path
    split: str
    images: Path | None
    gt: Path | None
    public: Path | None
    rate: float
    size: tuple[int, int]
    start: int
    length: int
    whole: int


def find_dataset(
    data: Path, *, split: str = "train", names: tuple[str, ...] = (), variant: str = "all", rate: float | None = None
) -> list[SequenceFolder]:
    """The sequences of a split.

    Of a sequence of N frames, `train-half` is the first N // 2 + 1 and `val-half` the rest, as CenterTrack and
    ByteTrack cut them; frames are counted from 1 again in results and ground truth.

    Args:
        data: the data set, a split of it, or one sequence.
        split: train, train-half, val-half, val or test; the halves are those of `train`.
        names: globs of the sequences to take; all when empty.
        variant: which of MOT17's detectors: FRCNN, DPM, SDP, "all", or "one" for the first there is.
        rate: frames a second of sequences that do not say; 30 when None.

    Raises:
        DataError: nothing there that looks like a data set, a glob that fits nothing, or a sequence without frames,
            detections and ground truth; says what was expected on disk.
    """
    if split not in SPLITS:
        raise DataError(f"split {split!r} is unknown; there are: {', '.join(SPLITS)}")
    folders = _folders(data, split)
    if names:
        unused = [glob for glob in names if not any(fnmatchcase(f.name, glob) for f in folders)]
        if unused:
            there = ", ".join(f.name for f in folders[:12]) + (", …" if len(folders) > 12 else "")
            raise DataError(f"{data}: no sequence fits {unused[0]!r}; there are: {there}")
        folders = [f for f in folders if any(fnmatchcase(f.name, glob) for glob in names)]
    return [_sequence(folder, split, rate) for folder in _variants(folders, variant)]


def guess_benchmark(sequences: list[SequenceFolder]) -> str:
    """Whose rules hold, by the sequences' names; "none" where they do not tell."""
    found = {next((b for b, pattern in BENCHMARKS if pattern.match(s.name)), "none") for s in sequences}
    return found.pop() if len(found) == 1 else "none"


def base_name(name: str) -> str:
    """A sequence's name without MOT17's detector: `MOT17-02-DPM` is `MOT17-02`."""
    stem, dash, last = name.rpartition("-")
    return stem if dash and last in VARIANTS else name


def _folders(data: Path, split: str) -> list[Path]:
    """Folders of the sequences, by name."""
    if not data.is_dir():
        raise DataError(f"{data}: no such folder")
    if _is_sequence(data):
        return [data.resolve()]
    inside = data / ("train" if split.endswith("-half") else split)
    place = inside if inside.is_dir() else data
    found = sorted(f for f in place.iterdir() if f.is_dir() and _is_sequence(f))
    if not found:
        raise DataError(
            f"{data}: no sequences; expected {inside.name}/SEQUENCE/ or SEQUENCE/ in it, each with img1/ (frames), "
            "det/det.txt (public detections) or gt/gt.txt (ground truth), and best a seqinfo.ini"
        )
    return found


def _is_sequence(folder: Path) -> bool:
    parts = ("seqinfo.ini", "img1", "det/det.txt", "gt/gt.txt")
    return any((folder / part).exists() for part in parts)


def _variants(folders: list[Path], variant: str) -> list[Path]:
    """Without those of MOT17's detectors that are not wanted."""
    if variant not in ("all", "one", *VARIANTS):
        raise DataError(f"variant {variant!r} is unknown; there are: all, one, {', '.join(VARIANTS)}")
    if variant == "all":
        return folders
    wanted: dict[str, Path] = {}
    order = VARIANTS if variant == "one" else (variant,)
    for folder in folders:
        base, mine = base_name(folder.name), folder.name.rpartition("-")[2]
        if base == folder.name:
            wanted[base] = folder
        elif mine in order:
            other = wanted.get(base)
            if other is None or order.index(mine) < order.index(other.name.rpartition("-")[2]):
                wanted[base] = folder
    if not wanted:
        raise DataError(f"{folders[0].parent}: no sequence of the variant {variant}, as MOT17-02-{variant}/")
    return sorted(wanted.values())


def _sequence(folder: Path, split: str, rate: float | None) -> SequenceFolder:
    info = read_sequence_info(folder)
    images = folder / info.images
    files = image_files(images) if images.is_dir() else []
    public, gt = folder / "det" / "det.txt", folder / "gt" / "gt.txt"
    length = info.length or len(files) or max(_last_detected(public), _last_true(gt))
    if not length:
        raise DataError(
            f"{folder}: neither frames in {info.images}/ nor rows in det/det.txt or gt/gt.txt, and no seqLength in "
            "seqinfo.ini"
        )
    if files and info.length and len(files) != info.length:
        raise DataError(
            f"{folder}: seqinfo.ini says {info.length} frames, {info.images}/ holds {len(files)}: the copy is not whole"
        )
    middle = length // 2 + 1
    start = middle if split == "val-half" else 0
    end = middle if split == "train-half" else length
    if end <= start:
        raise DataError(f"{folder}: {length} frames cannot be halved")
    return SequenceFolder(
        name=folder.name,
        folder=folder,
        split=split,
        images=images if files else None,
        gt=gt if gt.is_file() else None,
        public=public if public.is_file() else None,
        rate=info.rate or rate or NOMINAL_RATE,
        size=info.size,
        start=start,
        length=end - start,
        whole=length,
    )


def _last_detected(path: Path) -> int:
    """The last frame of a file of detections; 0 where it is not there or has no rows."""
    if not path.is_file():
        return 0
    rows, faults = read_detections(path)
    useless = np.logical_or.reduce(list(faults.values()))
    return int(rows.values[~useless, 0].max(initial=0))


def _last_true(path: Path) -> int:
    """The last frame of a file of ground truth; 0 where it is not there or has no rows."""
    return int(read_mot(path).values[:, 0].max(initial=0)) if path.is_file() else 0
