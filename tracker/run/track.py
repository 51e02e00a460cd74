"""Tracks a source into a run folder: open, build, track, write, refine, and say how it went."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracker.compile_clock import clock
from tracker.errors import ReacquireError
from tracker.run.folder import RECORD, run_folder
from tracker.run.interruption import interruptible
from tracker.run.job import Job, ProgressListener
from tracker.run.record import RunRecord
from tracker.run.refinement import check_refinement, refine_run
from tracker.run.result import Counts, RunResult

if TYPE_CHECKING:
    from tracker.pipeline import Pipeline
    from tracker.protocols import Sink, Source


def run(job: Job, listener: ProgressListener | None = None) -> RunResult:
    """Track a source into a run folder.

    The source is opened before any network is loaded, so that a wrong path costs no wait. Files are finished
    whatever happens: at the end, at Ctrl-C, at an error.

    Raises:
        ReacquireError: wrong source, settings or weights; a file that cannot be written.
    """
    from tracker.detection.ignoring import IgnoringDetector
    from tracker.pipeline import Pipeline
    from tracker.sinks import check_formats
    from tracker.sources import open_source

    listener = listener or ProgressListener()
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
        if job.scene.ignore:
            pipeline.detector = IgnoringDetector(pipeline.detector, job.scene.ignore)
        folder = stack.enter_context(run_folder(job.out or _default_folder(source), overwrite=job.overwrite))
        stopped = stack.enter_context(interruptible(source.stop, listener.asked_twice))
        record = RunRecord(folder / RECORD, job, source, pipeline)
        result = RunResult("done", None, folder, [], Counts(), 0.0, {})
        try:
            record.keep_place()
            _Run(job, source, pipeline, listener, stopped, result).carry_out(shown)
        except BaseException as error:
            with suppress(ReacquireError):  # the reason is the first error
                record.write(result, "failed", str(error) or type(error).__name__)
            raise
        record.write(result, result.status, result.problem)
        result.files.append(record.path)
    return result


@dataclass(frozen=True, slots=True)
class _Run:
    """A job with its parts, all open; `result` says how far it came."""

    job: Job
    source: Source
    pipeline: Pipeline
    listener: ProgressListener
    stopped: Callable[[], bool]
    result: RunResult

    def carry_out(self, shown: Sequence[Sink]) -> None:
        """Track, write and refine; `shown` are sinks without files, which somebody else closes."""
        from tracker.sinks.looks import LooksSink

        told = self._warn(0)
        looks = LooksSink()
        with _finished(self.result) as sinks:
            self._open_sinks(sinks)
            self.listener.started(self.source)
            extra = [*shown, *([looks] if self.job.refine in ("join", "both") else [])]
            self._track([*extra, *sinks])
        self._warn(told)
        if self.job.refine is not None:
            self.listener.say("refining …")
            self.result.files += refine_run(self.result.folder, self.job.refine, looks.mean())

    def _warn(self, told: int) -> int:
        """Tell what the detector warns of beyond the first `told` lines; how many there are."""
        warnings = self.pipeline.detector.warnings
        for line in warnings[told:]:
            self.listener.say(line)
        return len(warnings)

    def _open_sinks(self, sinks: list[Sink]) -> None:
        """Add one at a time, so that those before one that cannot be opened are closed."""
        from tracker.sinks import open_sink

        names, rate, folder = self.pipeline.detector.class_names, self.source.frame_rate, self.result.folder
        scene = self.job.scene
        sinks.extend(open_sink(name, folder, class_names=names, frame_rate=rate, scene=scene) for name in self.job.save)
        if self.job.explain:
            sinks.append(_record_sink(folder, self.pipeline))

    def _track(self, sinks: Sequence[Sink]) -> None:
        pipeline, result = self.pipeline, self.result
        started, compiled, frames = time.perf_counter(), clock.seconds, 0
        try:
            with closing(pipeline.steps(self.source)) as steps:
                for step in steps:
                    with pipeline.timings.measure("write"):
                        for sink in sinks:
                            sink.write(step.frame, step.detections, step.tracks)
                    frames = step.frame.index + 1
                    result.counts.count(len(step.detections), step.tracks, step.frame.timestamp)
                    self.listener.stepped(step)
                    if self.stopped():
                        break
                    if any(sink.closed for sink in sinks):
                        result.status = "interrupted"
                        break
        finally:
            result.seconds, result.compile_seconds = time.perf_counter() - started, clock.seconds - compiled
            result.milliseconds = pipeline.timings.milliseconds()
        if self.stopped():
            result.status = "interrupted"
        if result.status == "done" and self.source.problem is not None:
            result.status, result.problem = "damaged", self.source.problem
        if result.status == "done" and self.job.max_frames is None:
            pipeline.detector.end(frames)


@contextmanager
def _finished(result: RunResult) -> Generator[list[Sink]]:
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
        except BaseException as error:  # noqa: BLE001  # raised again below
            first = first or error
    result.files = [sink.path for sink in sinks if sink.path is not None and sink.path.exists()]
    result.conclusions = [line for sink in sinks for line in sink.conclusion]
    if first is not None:
        raise first


def _record_sink(folder: Path, pipeline: Pipeline) -> Sink:
    from tracker.association.engine import Engine
    from tracker.sinks.record import FILE, RecordSink

    assert isinstance(pipeline.engine, Engine)
    return RecordSink(folder / FILE, pipeline.engine.take_record)


def _default_folder(source: Source) -> Path:
    stem = re.sub(r"[^\w.-]+", "-", Path(source.name).stem or source.name).strip("-.") or "run"
    return Path("runs") / "track" / stem
