"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tracker.cli.console import stderr

PLAIN_SECONDS = 10.0
"""Between two lines where there is no terminal."""


class FrameProgress:
    """Counts frames; shows rate and time left.

    Args:
        title: what is being worked on.
        total: frames in all, or None where nobody knows.
        unit: what is counted, where it is not frames.
    """

    def __init__(self, title: str, total: int | None, *, unit: str = "frames") -> None:
        self.title, self.total, self.unit, self.done = title, total, unit, 0
        self.started = self._printed = time.monotonic()
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f} " + self._per_second),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task(self.title, total=self.total, rate=0.0, note="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def _per_second(self) -> str:
        return "fps" if self.unit == "frames" else f"{self.unit}/s"

    @property
    def rate(self) -> float:
        """Frames a second so far."""
        return self.done / max(time.monotonic() - self.started, 1e-9)

    def advance(self, note: str = "", count: int = 1) -> None:
        """So many more; `note` is shown behind it."""
        self.done += count
        if self._task is not None and not self._bar.disable:
            self._bar.update(self._task, advance=count, rate=self.rate, note=note)
        elif time.monotonic() - self._printed > PLAIN_SECONDS:
            self._printed = time.monotonic()
            left = f", {(self.total - self.done) / self.rate:.0f} s left" if self.total else ""
            of = f" of {self.total}" if self.total else ""
            speed = f"{self.rate:.1f} {self._per_second}"
            stderr.print(f"{self.title}: {self.done}{of} {self.unit}, {speed}{left}  {note}", highlight=False)
