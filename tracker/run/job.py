"""What one invocation is asked to do, and whom it tells how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.analytics.zones import Scene
from tracker.run.interruption import interrupt_main
from tracker.run.refinement import Refinement

if TYPE_CHECKING:
    from tracker.config import PipelineSettings
    from tracker.pipeline import Step
    from tracker.protocols import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one invocation is asked to do.

    Attributes:
        source: a file, folder, number or address.
        settings: of the pipeline.
        out: the run's folder; `runs/track/NAME` when None. An existing one is left alone and a numbered one made.
        save: formats of `tracker.sinks.FORMATS`.
        scene: zones, lines and what is left out of the picture; drawn, and counted by the format `analytics`.
        max_frames: end after so many.
        show: open a window.
        overwrite: empty an existing run's folder instead.
        explain: also write what the tracker thought of every pair, as `explain.parquet`.
        refine: also write the tracks refined at the end, one of `tracker.run.refinement.REFINEMENTS`.
    """

    source: str
    settings: PipelineSettings
    out: Path | None = None
    save: tuple[str, ...] = ("mot", "video", "parquet")
    scene: Scene = field(default_factory=Scene)
    max_frames: int | None = None
    show: bool = False
    overwrite: bool = False
    explain: bool = False
    refine: Refinement | None = None


class ProgressListener:
    """Is told what happens; subclass it to show progress."""

    def say(self, line: str) -> None:
        """A sentence for the user."""

    def started(self, source: Source) -> None:
        """The source is open, the networks are loaded, the first frame comes next."""

    def stepped(self, step: Step) -> None:
        """A frame is done."""

    def asked_twice(self) -> None:
        """The user does not want to wait until files are finished; called in a thread of its own."""
        interrupt_main()
