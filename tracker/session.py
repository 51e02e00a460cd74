"""One invocation from a source to a run folder: open, build, track, write, and say how it went."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reid.files import reserve, write_json
from tracker.errors import ReacquireError
from tracker.interrupt import interrupt_main, interruptible
from tracker.refine import Refinement, check_refinement, refine_run
from tracker.sinks.run import RECORD, run_folder
from tracker.types import Tracks

if TYPE_CHECKING:
    from tracker.config import PipelineSettings
    from tracker.pipeline import Pipeline, Step
    from tracker.protocols import Sink, Source

Status = Literal["done", "interrupted", "damaged"]

LIBRARIES = (
    "reacquire",
    "torch",
    "torchvision",
    "ultralytics",
    "onnxruntime",
    "opencv-python",
    "av",
    "numpy",
    "numba",
)

END_BYTES = 32_768
"""Of `run.json`, for how it went: kept on the disk from the start."""
LONGEST_PROBLEM = 4000
"""Letters of a problem."""


@dataclass(slots=True)
class TrackLife:
    """What is remembered of one id: how often and when it was seen."""

    frames: int
    first: float
    last: float
    class_id: int


@dataclass(slots=True)
class Census:
    """Counts of a run, kept as it goes; grows with the number of ids, not with time.

    Attributes:
        frames: of the source.
        detections: in them.
        boxes: of tracks that were seen.
        predicted: of tracks that were shown out of sight, where they are expected; the files hold both.
        lives: of ids.
    """

    frames: int = 0
    detections: int = 0
    boxes: int = 0
    predicted: int = 0
    lives: dict[int, TrackLife] = field(default_factory=dict)

    def count(self, detections: int, tracks: Tracks, timestamp: float) -> None:
        """Add one frame."""
        self.frames += 1
        self.detections += detections
        seen = np.flatnonzero(tracks.detection >= 0)
        self.boxes += len(seen)
        self.predicted += len(tracks) - len(seen)
        for track_id, class_id in zip(tracks.id[seen].tolist(), tracks.class_id[seen].tolist(), strict=True):
            life = self.lives.get(track_id)
            if life is None:
                self.lives[track_id] = TrackLife(1, timestamp, timestamp, class_id)
            else:
                life.frames += 1
                life.last = timestamp

    def longest(self, count: int) -> list[tuple[int, TrackLife]]:
        """The ids that were seen in most frames."""
        return sorted(self.lives.items(), key=lambda item: (-item[1].frames, item[0]))[:count]


@dataclass(slots=True)
class Outcome:
    """How a run went."""

    status: Status
    problem: str | None
    folder: Path
    files: list[Path]
    census: Census
    seconds: float
    milliseconds: dict[str, float]

    @property
    def fps(self) -> float:
        """Frames a second, end to end."""
        return self.census.frames / max(self.seconds, 1e-9)

    def summary(self) -> dict[str, Any]:
        """As plain values, for `run.json` and `--json`."""
        return {
            "status": self.status,
            "problem": self.problem,
            "folder": str(self.folder),
            "files": [str(path) for path in self.files],
            "frames": self.census.frames,
            "detections": self.census.detections,
            "boxes": self.census.boxes,
            "predicted": self.census.predicted,
            "identities": len(self.census.lives),
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "milliseconds_per_frame": {stage: round(ms, 3) for stage, ms in self.milliseconds.items()},
            "longest_tracks": [
                {"id": i, "frames": life.frames, "first": round(life.first, 3), "last": round(life.last, 3)}
                for i, life in self.census.longest(10)
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What one invocation is asked to do.

    Attributes:
        source: a file, folder, number or address.
        settings: of the pipeline.
        out: the run's folder; `runs/track/NAME` when None. An existing one is left alone and a numbered one made.
        save: formats of `tracker.sinks.FORMATS`.
        max_frames: end after so many.
        show: open a window.
        overwrite: empty an existing run's folder instead.
        explain: also write what the tracker thought of every pair, as `explain.parquet`.
        refine: also write the tracks refined at the end, one of `tracker.refine.REFINEMENTS`.
    """

    source: str
    settings: PipelineSettings
    out: Path | None = None
    save: tuple[str, ...] = ("mot", "video", "parquet")
    max_frames: int | None = None
    show: bool = False
    overwrite: bool = False
    explain: bool = False
    refine: Refinement | None = None


class Listener:
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


def run(job: Job, listener: Listener | None = None) -> Outcome:
    """Track a source into a run folder.

    The source is opened before any network is loaded, so that a wrong path costs no wait. Files are finished
    whatever happens: at the end, at Ctrl-C, at an error.

    Raises:
        ReacquireError: wrong source, settings or weights; a file that cannot be written.
    """
    from tracker.pipeline import Pipeline
    from tracker.sinks import check_formats
    from tracker.sources import open_source

    listener = listener or Listener()
    check_formats(job.save)
    if job.refine is not None:
        check_refinement(job.refine, job.save)
    with ExitStack() as stack:
        source = stack.enter_context(
            open_source(job.source, max_frames=job.max_frames, report=listener.say, max_pixels=job.settings.max_pixels)
        )
        shown: list[Sink] = []
        if job.show:
            from tracker.sinks.window import WindowSink

            shown.append(stack.enter_context(WindowSink(source.name, source.frame_rate)))
        pipeline = Pipeline.from_config(job.settings, record=job.explain)
        folder = stack.enter_context(run_folder(job.out or _default_folder(source), overwrite=job.overwrite))
        stopped = stack.enter_context(interruptible(source.stop, listener.asked_twice))
        record = _Record(folder / RECORD, job, source, pipeline)
        outcome = Outcome("done", None, folder, [], Census(), 0.0, {})
        try:
            record.keep_place()
            _run_into(folder, job, pipeline, source, shown, outcome, listener, stopped)
        except BaseException as error:
            with suppress(ReacquireError):  # the reason is the first error
                record.write(outcome, "failed", str(error) or type(error).__name__)
            raise
        record.write(outcome, outcome.status, outcome.problem)
        outcome.files.append(record.path)
    return outcome


def _run_into(
    folder: Path,
    job: Job,
    pipeline: Pipeline,
    source: Source,
    shown: Sequence[Sink],
    outcome: Outcome,
    listener: Listener,
    stopped: Callable[[], bool],
) -> None:
    """Track, write and refine; `outcome` says how far it came."""
    from tracker.sinks.looks import LooksSink

    warnings = pipeline.detector.warnings
    for line in warnings:
        listener.say(line)
    told = len(warnings)
    looks = LooksSink()
    with _finished(outcome) as sinks:
        _open_sinks(sinks, folder, job, pipeline, source)
        listener.started(source)
        extra = [*shown, *([looks] if job.refine in ("join", "both") else [])]
        _track(pipeline, source, [*extra, *sinks], outcome, listener, stopped)
    for line in warnings[told:]:
        listener.say(line)
    if job.refine is not None:
        listener.say("refining …")
        outcome.files += refine_run(folder, job.refine, looks.mean())


@contextmanager
def _finished(outcome: Outcome) -> Generator[list[Sink]]:
    """Yield a list for sinks; all of them are closed at the end, and the first error is raised."""
    sinks: list[Sink] = []
    first: BaseException | None = None
    try:
        yield sinks
    except BaseException as error:  # noqa: BLE001  # raised again below
        first = error
    for sink in sinks:
        try:
            sink.close()
        except BaseException as error:  # noqa: BLE001  # likewise
            first = first or error
    outcome.files = [sink.path for sink in sinks if sink.path is not None and sink.path.exists()]
    if first is not None:
        raise first


def _open_sinks(sinks: list[Sink], folder: Path, job: Job, pipeline: Pipeline, source: Source) -> None:
    """Add one at a time, so that those before one that cannot be opened are closed."""
    from tracker.sinks import open_sink

    names, rate = pipeline.detector.class_names, source.frame_rate
    sinks.extend(open_sink(name, folder, class_names=names, frame_rate=rate) for name in job.save)
    if job.explain:
        sinks.append(_record_sink(folder, pipeline))


def _track(
    pipeline: Pipeline,
    source: Source,
    sinks: Sequence[Sink],
    outcome: Outcome,
    listener: Listener,
    stopped: Callable[[], bool],
) -> None:
    started = time.perf_counter()
    try:
        with closing(pipeline.steps(source)) as steps:
            for step in steps:
                with pipeline.timings.measure("write"):
                    for sink in sinks:
                        sink.write(step.frame, step.detections, step.tracks)
                outcome.census.count(len(step.detections), step.tracks, step.frame.timestamp)
                listener.stepped(step)
                if stopped():
                    break
                if any(sink.closed for sink in sinks):
                    outcome.status = "interrupted"
                    break
    finally:
        outcome.seconds = time.perf_counter() - started
        outcome.milliseconds = pipeline.timings.milliseconds()
    if stopped():
        outcome.status = "interrupted"
    if outcome.status == "done" and source.problem is not None:
        outcome.status, outcome.problem = "damaged", source.problem


def _record_sink(folder: Path, pipeline: Pipeline) -> Sink:
    from tracker.association.engine import Engine
    from tracker.sinks.record import FILE, RecordSink

    assert isinstance(pipeline.engine, Engine)
    return RecordSink(folder / FILE, pipeline.engine.take_record)


def _default_folder(source: Source) -> Path:
    stem = re.sub(r"[^\w.-]+", "-", Path(source.name).stem or source.name).strip("-.") or "run"
    return Path("runs") / "track" / stem


class _Record:
    """`run.json`: what was run, with what, and how it went; there from the start, always whole."""

    def __init__(self, path: Path, job: Job, source: Source, pipeline: Pipeline) -> None:
        self.path = path
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._pipeline = pipeline
        self._about: dict[str, Any] = {
            "source": {
                "name": source.name,
                "kind": source.kind,
                "size": source.size,
                "frame_rate": source.frame_rate,
                "length": source.length,
            },
            "settings": job.settings.model_dump(mode="json"),
            "save": list(job.save),
            "refine": job.refine,
            "detector": pipeline.detector.describe(),
            "embedder": pipeline.embedder.describe() if pipeline.embedder is not None else None,
            "versions": versions(),
            "platform": platform.platform(),
        }
        write_json(path, {"status": "running", "started": self._started, **self._about})

    def keep_place(self) -> None:
        """Make sure that it can be written how it went, also on a disk that is full by then."""
        reserve(self.path, self.path.stat().st_size + END_BYTES)

    def write(self, outcome: Outcome, status: str, problem: str | None) -> None:
        """Write how it went."""
        problem = None if problem is None else problem[:LONGEST_PROBLEM]
        summary = outcome.summary() | {"status": status, "problem": problem}
        self._about["detector"] = self._pipeline.detector.describe()  # may have counted rows that it dropped
        times = {"started": self._started, "ended": datetime.now(UTC).isoformat(timespec="seconds")}
        write_json(self.path, summary | times | self._about)


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found
