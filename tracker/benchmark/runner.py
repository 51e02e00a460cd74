"""A tracker over a data set: from a folder of sequences to results and scores in a run's folder."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reid.files import replacing, write_json, write_text, writing
from reid.runtime import choose_device
from tracker.benchmark.cache import Cache, CachedInputs, CacheError
from tracker.benchmark.dataset import SequenceFolder, guess_benchmark
from tracker.benchmark.jobs import Audience, Outcome, Reporter, do_all
from tracker.benchmark.perceive import SequenceCache
from tracker.benchmark.replay import cameras_of, replay
from tracker.compile_clock import clock
from tracker.config import PipelineSettings
from tracker.errors import DataError
from tracker.evaluation.benchmarks import RULES, rules_of
from tracker.evaluation.evaluate import COMBINED, Scores, combine, evaluate_files
from tracker.factory import with_embedder_threshold
from tracker.formats.mot import read_mot
from tracker.formats.seqinfo import SequenceInfo, sequence_info_text
from tracker.run.folder import run_folder
from tracker.run.interruption import interruptible
from tracker.run.record import versions
from tracker.sinks.text import LineSink
from tracker.types import Detections, Frame

SMALL = 20_000
"""Frames whose association is over before further processes would have started."""
GT = "gt"
"""Folder in a run's of the ground truth of halves, counted from frame 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetJob:
    """What one invocation is asked to do.

    Attributes:
        data: as given, for the record.
        sequences: of it, see `find_dataset`.
        settings: `detector.weights` may be "public".
        benchmark: whose rules score; guessed from the sequences' names when None.
        cache: kept between runs; None forgets what was seen, embeddings of people too.
        fill: what the cache lacks is made; otherwise it is an error.
        out: the run's folder.
        jobs: processes; as many as help when None.
        overwrite: empty an existing run's folder instead of making a numbered one.
    """

    data: Path
    sequences: list[SequenceFolder]
    settings: PipelineSettings
    benchmark: str | None = None
    cache: Path | None = None
    fill: bool = True
    out: Path = Path("runs/mot/run")
    jobs: int | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Tracked:
    """One sequence's run: frames, boxes and ids in its result, seconds of association, scores if any.

    Boxes are those of tracks that were seen; `predicted`, those out of sight, are in the result beside them.
    """

    frames: int
    boxes: int
    predicted: int
    identities: int
    seconds: float
    scores: Scores | None

    def counts(self) -> dict[str, int]:
        """As plain values."""
        names = {"frames": self.frames, "boxes": self.boxes, "predicted": self.predicted}
        return names | {"ids": self.identities}


@dataclass(slots=True)
class DataSetOutcome:
    """How a run over a data set went.

    Attributes:
        status: done, failed (some sequence), or interrupted.
        folder: of the run.
        sequences: what became of each.
        scores: by sequence, and "combined"; empty without ground truth.
        seconds: in all.
    """

    status: Literal["done", "failed", "interrupted"]
    folder: Path
    benchmark: str
    sequences: dict[str, Outcome[Tracked]]
    scores: dict[str, Scores]
    seconds: float

    @property
    def frames(self) -> int:
        """Of the sequences that are done."""
        return sum(o.result.frames for o in self.sequences.values() if o.result)

    @property
    def rate(self) -> float:
        """Frames a second of association and writing alone, in one process; compiling is left out."""
        return self.frames / max(sum(o.result.seconds for o in self.sequences.values() if o.result), 1e-9)

    def summary(self) -> dict[str, Any]:
        """As plain values."""
        rows = {
            name: {"status": "done", **o.result.counts()}
            if o.result
            else {"status": "failed" if o.problem else "not finished", "problem": o.problem}
            for name, o in self.sequences.items()
        }
        return {
            "status": self.status,
            "folder": str(self.folder),
            "benchmark": self.benchmark,
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "association_fps": round(self.rate, 1),
            "runs": rows,
        }


def scores_document(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """As `reacquire eval --json` writes them."""
    return {
        "sequences": {name: s.summary() for name, s in scores.items() if name != COMBINED},
        "combined": scores[COMBINED].summary(),
    }


@dataclass
class Look:
    """Work: see that a sequence is in the cache."""

    settings: PipelineSettings
    cache: Path
    embed: bool
    cameras: list[str]
    fill: bool = True
    _inputs: SequenceCache | None = field(default=None, init=False)

    def __call__(self, sequence: SequenceFolder, report: Reporter) -> CachedInputs:
        if self._inputs is None:
            self._inputs = SequenceCache(self.settings, Cache(self.cache))
        if self.fill:
            return self._inputs.fill(sequence, embed=self.embed, cameras=self.cameras, report=report)
        try:
            return self._inputs.cache.entry(sequence, self.settings).load(embed=self.embed, cameras=self.cameras)
        except CacheError as error:
            raise CacheError(f"{error}; `reacquire mot cache` with the same options makes it") from error


@dataclass
class KeepSeen:
    """Work: fill the cache; gives back frames and detections."""

    look: Look

    def __call__(self, sequence: SequenceFolder, report: Reporter) -> tuple[int, int]:
        seen = self.look(sequence, report)
        return len(seen), len(seen.xyxy)


@dataclass
class Track:
    """Work: a sequence's result and its scores."""

    look: Look
    folder: Path
    benchmark: str

    def __call__(self, sequence: SequenceFolder, report: Reporter) -> Tracked:
        seen = self.look(sequence, report)
        started = clock.now()
        path = self.folder / f"{sequence.name}.txt"
        boxes, predicted, ids = self._write(path, sequence, seen, report)
        seconds = clock.now() - started
        scores = None
        if sequence.gt is not None:
            gt = part_of_gt(sequence, self.folder / GT)
            scores = evaluate_files(gt, path, rules_of(self.benchmark), length=sequence.length)
        return Tracked(len(seen), boxes, predicted, ids, seconds, scores)

    def _write(
        self, path: Path, sequence: SequenceFolder, seen: CachedInputs, report: Reporter
    ) -> tuple[int, int, int]:
        recipe = with_embedder_threshold(self.look.settings.tracker, self.look.settings.embedder.weights)
        nothing, no_picture = Detections.empty(), np.zeros((1, 1, 3), np.uint8)
        boxes, predicted, ids = 0, 0, set[int]()
        with replacing(path) as partial, LineSink(partial, "mot") as sink:
            for index, tracks in enumerate(replay(recipe, seen, sequence)):
                sink.write(Frame(no_picture, index, 0.0), nothing, tracks)
                out_of_sight = int(tracks.predicted.sum())
                boxes, predicted = boxes + len(tracks) - out_of_sight, predicted + out_of_sight
                ids.update(tracks.id.tolist())
                report("track", index + 1)
        return boxes, predicted, len(ids)


def part_of_gt(sequence: SequenceFolder, folder: Path) -> Path:
    """The ground truth of a split: the file itself, or for halves a copy of its part, counted from frame 1."""
    if sequence.gt is not None and not sequence.split.endswith("-half"):
        return sequence.gt
    return copy_gt(sequence, folder)


def copy_gt(sequence: SequenceFolder, folder: Path) -> Path:
    """`NAME/gt/gt.txt` and `NAME/seqinfo.ini` of the frames that the split takes, counted from 1."""
    assert sequence.gt is not None
    path = folder / sequence.name / "gt" / "gt.txt"
    rows = read_mot(sequence.gt).values
    rows = rows[(rows[:, 0] > sequence.start) & (rows[:, 0] <= sequence.start + sequence.length)]
    rows[:, 0] -= sequence.start
    text = "".join(",".join(f"{value:.12g}" for value in row) + "\n" for row in rows.tolist())
    info = SequenceInfo(sequence.length, sequence.size, sequence.rate, sequence.name)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    write_text(path.parents[1] / "seqinfo.ini", sequence_info_text(info))
    return path


def track_all(job: DataSetJob, audience: Audience) -> DataSetOutcome:
    """Track, or replay, every sequence of a data set, and score those that have ground truth.

    Results are complete or not there: `NAME.txt` for each sequence, `scores.json`, and `run.json` about it all.
    A sequence that fails is named in the outcome and the others go on; Ctrl-C keeps those that are done.

    Raises:
        ReacquireError: nothing can be run at all.
    """
    benchmark = job.benchmark or guess_benchmark(job.sequences)
    known = [name for name, rules in RULES.items() if rules.text == "mot"]
    if benchmark not in known:
        raise DataError(f"benchmark {benchmark!r} is unknown here; there are: {', '.join(known)}")
    if not job.fill and job.cache is None:
        raise DataError("a replay needs a cache")
    with run_folder(job.out, overwrite=job.overwrite) as folder:
        return _track_into(folder, job, benchmark, audience)


def _track_into(folder: Path, job: DataSetJob, benchmark: str, audience: Audience) -> DataSetOutcome:
    record = _record(job, benchmark)
    write_json(folder / "run.json", {"status": "running", **record})
    started = time.perf_counter()
    kept = job.cache or Path(tempfile.mkdtemp(prefix="seen.", dir=folder))
    recipe = job.settings.tracker
    look = Look(job.settings, kept, job.settings.embeds, cameras_of(recipe), job.fill)
    try:
        with interruptible() as stopped:
            outcomes = do_all(
                Track(look, folder, benchmark),
                {s.name: s for s in job.sequences},
                jobs=job.jobs or useful_jobs(job.settings, job.sequences, job.fill),
                audience=audience,
                stopped=stopped,
            )
            status: Any = "interrupted" if stopped() else "done"
    finally:
        if job.cache is None:
            shutil.rmtree(kept, ignore_errors=True)
    if status == "done" and any(o.problem for o in outcomes.values()):
        status = "failed"
    scores = {name: o.result.scores for name, o in outcomes.items() if o.result and o.result.scores}
    if scores:
        scores[COMBINED] = combine(scores)
        write_json(folder / "scores.json", scores_document(scores))
    outcome = DataSetOutcome(status, folder, benchmark, outcomes, scores, time.perf_counter() - started)
    write_json(folder / "run.json", record | {"ended": _now()} | outcome.summary())
    return outcome


def cache_all(
    job: DataSetJob, *, embed: bool, cameras: list[str], audience: Audience
) -> tuple[dict[str, Outcome[tuple[int, int]]], bool]:
    """Fill the cache; what became of each sequence (frames and detections), and whether it was interrupted."""
    assert job.cache is not None
    with interruptible() as stopped:
        outcomes = do_all(
            KeepSeen(Look(job.settings, job.cache, embed, cameras)),
            {s.name: s for s in job.sequences},
            jobs=job.jobs or useful_jobs(job.settings, job.sequences, fill=True),
            audience=audience,
            stopped=stopped,
        )
        return outcomes, stopped()


def useful_jobs(settings: PipelineSettings, sequences: list[SequenceFolder], fill: bool) -> int:
    """Processes that pay: one for a GPU and for little work, else one a core."""
    recipe = settings.tracker
    networks = fill and (settings.detector.weights != "public" or settings.embeds or cameras_of(recipe))
    if networks and choose_device(settings.device) != "cpu":
        return 1
    if not networks and sum(s.length for s in sequences) < SMALL:
        return 1
    return max(min(os.cpu_count() or 1, len(sequences)), 1)


def _record(job: DataSetJob, benchmark: str) -> dict[str, Any]:
    return {
        "started": _now(),
        "data": str(job.data),
        "split": job.sequences[0].split,
        "sequences": {s.name: {"frames": s.length, "start": s.start, "rate": s.rate} for s in job.sequences},
        "benchmark": benchmark,
        "detections": "public" if job.settings.detector.weights == "public" else "private",
        "replay": not job.fill,
        "settings": job.settings.model_dump(mode="json"),
        "versions": versions(),
        "platform": platform.platform(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
