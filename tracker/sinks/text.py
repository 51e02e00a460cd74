"""Formats that are valid at every row, one row a track and frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reid.files import Growing
from tracker.errors import ReacquireError
from tracker.formats.registry import FORMATS
from tracker.protocols import Sink
from tracker.types import Detections, Frame, Tracks


class LineSink(Sink):
    """Appends lines; a frame's reach the system at once and together, so that a killed process leaves whole ones.

    Args:
        path: the file.
        name: of the format; what a line holds is said in its module of `tracker.formats`.
        class_names: names of class ids; a class without one is its number.

    Raises:
        ReacquireError: the file cannot be written.
    """

    def __init__(self, path: Path, name: str, class_names: Mapping[int, str] | None = None) -> None:
        self.path: Path = path
        header, self._lines = FORMATS[name].run_lines()
        self._names = class_names or {}
        self._file = Growing(path)
        try:
            self._append([header] if header else [])
        except ReacquireError:
            self._file.close()
            raise

    def _append(self, lines: list[str]) -> None:
        if lines:
            self._file.append(("\n".join(lines) + "\n").encode(errors="backslashreplace"))

    def write(self, frame: Frame, detections: Detections, tracks: Tracks) -> None:
        self._append(self._lines(frame, tracks, self._names))

    def close(self) -> None:
        self._file.close()
