"""Where the pictures of a sequence are, for those who want to see its errors."""

from __future__ import annotations

from pathlib import Path

from tracker.errors import DataError
from tracker.formats.seqinfo import IMAGES, read_sequence_info

VIDEOS = (".mp4", ".avi", ".mkv", ".mov", ".webm")


def find_frames(name: str, gt: Path, frames: Path | None = None) -> Path | None:
    """What `open_source` can open for a sequence.

    Args:
        name: of the sequence.
        gt: its ground truth; without `frames`, those of its sequence's folder, if any.
        frames: a folder of sequences, a sequence's folder, a folder of images, a video, or a folder of `NAME.mp4`.

    Returns:
        A folder or a file; None where there is nothing.

    Raises:
        DataError: `frames` does not exist.
    """
    if frames is None:
        folder = gt.parent.parent
        return folder if gt.parent.name == "gt" and _pictures_of(folder).is_dir() else None
    if frames.is_file():
        return frames
    if not frames.is_dir():
        raise DataError(f"{frames}: no such folder or video of frames")
    for folder in (frames / name, *sorted(frames.glob(f"{_literal(name)}-*")), frames):
        if _pictures_of(folder).is_dir():
            return folder
        if folder.is_dir() and (folder != frames or not _holds_sequences(frames)) and _has_images(folder):
            return folder.parent if folder.name == IMAGES else folder
    videos = [frames / f"{name}{suffix}" for suffix in VIDEOS]
    return next((video for video in videos if video.is_file()), None)


def _pictures_of(sequence: Path) -> Path:
    return sequence / read_sequence_info(sequence).images


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _holds_sequences(folder: Path) -> bool:
    return any(folder.glob(f"*/{IMAGES}"))


def _has_images(folder: Path) -> bool:
    suffixes = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
    return any(path.suffix.lower() in suffixes for path in folder.iterdir())
