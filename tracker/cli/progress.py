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
    """

    def __init__(self, title: str, total: int | None) -> None:
        self.title, self.total, self.done = title, total, 0
        self.started = self._printed = time.monotonic()
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f} fps"),
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
    def rate(self) -> float:
        """Frames a second so far."""
        return self.done / max(time.monotonic() - self.started, 1e-9)

    def advance(self, note: str = "") -> None:
        """One more frame; `note` is shown behind it."""
        self.done += 1
        if self._task is not None and not self._bar.disable:
            self._bar.update(self._task, advance=1, rate=self.rate, note=note)
        elif time.monotonic() - self._printed > PLAIN_SECONDS:
            self._printed = time.monotonic()
            left = f", {(self.total - self.done) / self.rate:.0f} s left" if self.total else ""
            of = f" of {self.total}" if self.total else ""
            stderr.print(f"{self.title}: {self.done}{of} frames, {self.rate:.1f} fps{left}  {note}", highlight=False)
