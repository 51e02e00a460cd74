"""Progress of long work: a live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from tracker.benchmark.jobs import Audience, Outcome
from tracker.cli.console import stderr
from tracker.compile_clock import clock

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
        self.started, self._printed = clock.now(), time.monotonic()
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f} " + self._per_second, markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
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
        return self.done / max(clock.now() - self.started, 1e-9)

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


class ManyProgress(Audience):
    """Counts frames (or trials) of several things at once, each with its rate and time left.

    Args:
        lengths: how much there is of each thing in every stage.
        unit: of what is counted.
    """

    def __init__(self, lengths: Mapping[str, int], unit: str = "frames") -> None:
        self._lengths, self._unit = dict(lengths), unit
        self._begun: dict[str, tuple[str, float, int]] = {}
        self._tasks: dict[str, TaskID] = {}
        self._printed = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.0f} a second", markup=False),
            TimeRemainingColumn(),
            TextColumn("{task.fields[stage]}", markup=False),
            console=stderr,
            transient=True,
            disable=not stderr.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        stderr.print(line, highlight=False, markup=False, soft_wrap=True)

    def progress(self, name: str, stage: str, done: int) -> None:
        now, total = time.monotonic(), self._lengths[name]
        if self._begun.get(name, ("",))[0] != stage:
            self._begun[name] = stage, now, done
            if name in self._tasks:
                self._bar.remove_task(self._tasks.pop(name))
        _, begun, first = self._begun[name]
        rate = (done - first) / max(now - begun, 1e-9)
        if not self._bar.disable:
            if name not in self._tasks:
                self._tasks[name] = self._bar.add_task(name, total=total, rate=0.0, stage=stage)
            self._bar.update(self._tasks[name], completed=done, rate=rate)
        elif now - self._printed > PLAIN_SECONDS:
            self._printed = now
            left = f", {(total - done) / rate:.0f} s left" if rate else ""
            self.say(f"{name}: {stage} {done} of {total} {self._unit}, {rate:.0f} a second{left}")

    def finished(self, name: str, outcome: Outcome[Any]) -> None:
        if name in self._tasks:
            self._bar.remove_task(self._tasks.pop(name))
        if outcome.problem:
            self.say(f"{name}: failed: {outcome.problem}")
        elif outcome.result is not None:
            self.say(f"{name}: done")
