"""The way of the data: frames → detections → embeddings → tracks → sinks. Nothing flows back up.

The pipeline knows protocols, not implementations; `tracker.factory` builds the parts from settings.
Decoding, the networks, and association with the sinks each run in a thread of their own, a bounded number
of frames apart, so that memory does not grow with the length of the video.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tracker.compile_clock import clock
from tracker.prefetch import prefetch
from tracker.protocols import Associator, Detector, Embedder, Source
from tracker.types import Detections, Frame, Tracks

if TYPE_CHECKING:
    from tracker.config import PipelineSettings

BATCHES_AHEAD = 2
"""Finished batches that may wait between the networks and the association."""


@dataclass(frozen=True, slots=True)
class Step:
    """One frame with all that was found in it."""

    frame: Frame
    detections: Detections
    tracks: Tracks


@dataclass(slots=True)
class Timings:
    """Seconds that each stage took, and for how many frames; `read` is the wait for decoded frames.

    Compiling, at the first frame on a new machine, is no part of them.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    frames: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def measure(self, stage: str, frames: int = 1) -> Generator[None]:
        """Add the time that the block takes to `stage`."""
        start = clock.now()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + clock.now() - start
        self.frames[stage] = self.frames.get(stage, 0) + frames

    def milliseconds(self) -> dict[str, float]:
        """Mean milliseconds a frame, by stage."""
        return {stage: 1e3 * total / max(self.frames[stage], 1) for stage, total in self.seconds.items()}


class Pipeline:
    """A detector, an embedder and a tracker as one: give it a source, get tracks.

    Args:
        detector: finds objects.
        engine: gives them ids. It keeps its state from one `steps` call to the next, so that a source can be
            continued; start a new video with a new engine, or `reset()` it.
        embedder: for recipes that compare looks; not run for others.
        batch: frames through the networks at a time; a live source always takes one.
        include_lost: also return the predicted boxes of tracks that are out of sight.
    """

    def __init__(
        self,
        detector: Detector,
        engine: Associator,
        embedder: Embedder | None = None,
        *,
        batch: int = 4,
        include_lost: bool = False,
    ) -> None:
        self.detector = detector
        self.engine = engine
        self.embedder = embedder if engine.uses_embedding else None
        self.batch = batch
        self.include_lost = include_lost
        self.timings = Timings()

    @classmethod
    def from_config(
        cls,
        settings: str | Path | Mapping[str, Any] | PipelineSettings = "default",
        overrides: Iterable[str] = (),
        *,
        include_lost: bool = False,
        record: bool = False,
    ) -> Self:
        """A pipeline with all its parts.

        Args:
            settings: themselves, a mapping of them, their file, or the name of shipped ones.
            overrides: `key.path=value` settings laid over them.
            include_lost: see `Pipeline`.
            record: keep what was thought of every pair, for `Engine.take_record`.

        Raises:
            ReacquireError: wrong settings, or weights that cannot be loaded.
        """
        from tracker.factory import build_parts

        parts = build_parts(settings, overrides, record=record)
        return cls(parts.detector, parts.engine, parts.embedder, batch=parts.batch, include_lost=include_lost)

    def stream(self, source: str | Path | int | Source) -> Iterator[tuple[Frame, Tracks]]:
        """Frames of a source, each with its tracks, as they are found."""
        if isinstance(source, str | Path | int):
            from tracker.sources import open_source

            with open_source(source) as opened:
                yield from ((step.frame, step.tracks) for step in self.steps(opened))
        else:
            yield from ((step.frame, step.tracks) for step in self.steps(source))

    def steps(self, source: Source) -> Generator[Step]:
        """Frames of an open source, each with its detections and tracks."""
        with closing(prefetch(self._perceive(source), BATCHES_AHEAD, "networks")) as perceived:
            for frames, found in perceived:
                for frame, detections in zip(frames, found, strict=True):
                    with self.timings.measure("track"):
                        tracks = self.engine.update(
                            detections,
                            timestamp=frame.timestamp,
                            image=frame.image if self.engine.needs_image else None,
                            include_lost=self.include_lost,
                        )
                    yield Step(frame, detections, tracks)

    def _perceive(self, source: Source) -> Generator[tuple[list[Frame], list[Detections]]]:
        """Batches of frames with their detections, embedded where the recipe asks for it."""
        size = 1 if source.live else self.batch
        with _iterated(source) as frames:
            while True:
                with self.timings.measure("read", frames=0):
                    batch = list(islice(frames, size))
                if not batch:
                    return
                self.timings.frames["read"] += len(batch)
                with self.timings.measure("detect", len(batch)):
                    found = self.detector.detect(batch)
                if self.embedder is not None:
                    with self.timings.measure("embed", len(batch)):
                        found = embed(self.embedder, batch, found, [self.engine.embedding_score] * len(batch))
                yield batch, found


@contextmanager
def _iterated(source: Source) -> Generator[Iterator[Frame]]:
    """Its frames; what reads them has ended at the end of the block, also where a network fails."""
    frames = iter(source)
    try:
        yield frames
    finally:
        if isinstance(frames, Generator):
            frames.close()


def embed(
    embedder: Embedder, frames: Sequence[Frame], found: Sequence[Detections], least_score: Sequence[float]
) -> list[Detections]:
    """Detections of frames with embeddings; zeros for those below the frame's least score, which nobody compares."""
    rows = [np.flatnonzero(d.score >= least) for d, least in zip(found, least_score, strict=True)]
    vectors = embedder.embed_batch([f.image for f in frames], [d.xyxy[r] for d, r in zip(found, rows, strict=True)])
    embedded = []
    for detections, chosen, some in zip(found, rows, vectors, strict=True):
        every = np.zeros((len(detections), some.shape[1]), np.float32)
        every[chosen] = some
        embedded.append(detections.with_embedding(every))
    return embedded
