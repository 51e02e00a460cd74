"""Fill the cache: run the networks over a sequence once, and measure the camera's motion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from tracker.benchmark.cache import CAMERA, DETECTIONS, Cache, CachedInputs, CacheError, Entry
from tracker.benchmark.dataset import SequenceFolder
from tracker.benchmark.frames import open_frames
from tracker.benchmark.jobs import Reporter
from tracker.config import PipelineSettings
from tracker.errors import DataError
from tracker.formats.mot import read_detections
from tracker.types import Frame

if TYPE_CHECKING:
    from tracker.motion.camera import Method
    from tracker.protocols import Detector, Embedder

FLUSH_FRAMES = 128
"""Frames whose rows are written together."""

T = TypeVar("T")


class SequenceCache:
    """What networks see in sequences, kept on disk; they are loaded when they are first needed, and kept.

    Args:
        settings: of detector, embedder and device. `detector.weights: public` takes each sequence's own file.
        cache: where to look first, and to write to.
    """

    def __init__(self, settings: PipelineSettings, cache: Cache) -> None:
        self.settings, self.cache = settings, cache
        self._detector: Detector | None = None
        self._embedder: Embedder | None = None

    def fill(self, sequence: SequenceFolder, *, embed: bool, cameras: Iterable[str], report: Reporter) -> CachedInputs:
        """What was seen, from the cache; what it lacks, or has damaged or out of date, is made first.

        Raises:
            ReacquireError: a network cannot be loaded, frames cannot be read.
        """
        cameras = list(cameras)
        if sequence.images is None and (embed or cameras or self.settings.detector.weights != "public"):
            need = "appearance" if embed else "the camera's motion" if cameras else "a detector"
            raise DataError(
                f"{sequence.folder}: no frames, expected img1/, and {need} needs them; "
                "--detector public --motion-only runs without"
            )
        entry = self.cache.entry(sequence, self.settings)
        self._have(entry, "detections", report)
        for kind in (["embeddings"] if embed else []) + cameras:
            self._have(entry, kind, report)
        return entry.load(embed=embed, cameras=cameras)

    def _have(self, entry: Entry, kind: str, report: Reporter) -> None:
        if entry.path(kind).is_file():
            try:
                entry.read(kind)
                return
            except CacheError as error:
                report.say(f"{error}: made again")
        if kind == "detections":
            entry.write(kind, DETECTIONS, self._detections(entry.sequence, report))
        elif kind == "embeddings":
            embedder = self._load_embedder()
            vector = pa.list_(pa.float32(), embedder.dimension)
            schema = pa.schema([("row", pa.int64()), ("embedding", vector)])
            entry.write(kind, schema, self._embeddings(entry, embedder, report))
        else:
            entry.write(kind, CAMERA, self._motions(entry, kind, report))  # type: ignore[arg-type]

    def _detections(self, sequence: SequenceFolder, report: Reporter) -> Iterator[dict[str, Any]]:
        detector = self._load_detector(sequence)
        told = 0
        frames = _frames(sequence, "detect", report)
        for group in batched(batched(frames, self._batch), max(FLUSH_FRAMES // self._batch, 1)):
            found = [(f, d) for batch in group for f, d in zip(batch, detector.detect(batch), strict=True)]
            counts = [len(d) for _, d in found]
            xyxy = np.concatenate([d.xyxy for _, d in found])
            yield {
                "frame": np.repeat([f.index - sequence.start for f, _ in found], counts),
                **dict(zip(("x1", "y1", "x2", "y2"), xyxy.T, strict=True)),
                "score": np.concatenate([d.score for _, d in found]),
                "class_id": np.concatenate([d.class_id for _, d in found]),
            }
            warnings: list[str] = getattr(detector, "warnings", [])
            for line in warnings[told:]:
                report.say(line)
            told = len(warnings)

    def _embeddings(self, entry: Entry, embedder: Embedder, report: Reporter) -> Iterator[dict[str, Any]]:
        seen = entry.load(embed=False, cameras=[])
        start = entry.sequence.start
        for batch in batched(_frames(entry.sequence, "embed", report), self._batch):
            spans = [np.arange(seen.first[f.index - start], seen.first[f.index - start + 1]) for f in batch]
            rows = [span[seen.score[span] >= entry.embedded_from] for span in spans]
            vectors = np.concatenate(embedder.embed_batch([f.image for f in batch], [seen.xyxy[r] for r in rows]))
            flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), embedder.dimension)
            yield {"row": np.concatenate(rows), "embedding": flat}

    def _motions(self, entry: Entry, method: Method, report: Reporter) -> Iterator[dict[str, Any]]:
        from tracker.motion.camera import MeasuredCamera

        seen, camera = entry.load(embed=False, cameras=[]), MeasuredCamera(method)
        start = entry.sequence.start
        for group in batched(_frames(entry.sequence, "camera", report), FLUSH_FRAMES):
            found = [camera.estimate(f.image, seen.detections(f.index - start).xyxy).ravel() for f in group]
            yield dict(zip(CAMERA.names, np.array(found).T, strict=True))

    @property
    def _batch(self) -> int:
        from tracker.factory import batch_size

        return batch_size(self.settings.batch, self.settings.device)

    def _load_detector(self, sequence: SequenceFolder) -> Detector:
        from tracker.factory import build_detector

        if self.settings.detector.weights == "public":  # every sequence has its own
            assert sequence.public is not None
            read_detections(sequence.public, length=sequence.whole)  # refuses another sequence's file
            own = self.settings.detector.model_copy(update={"weights": f"public:{sequence.public}"})
            return build_detector(self.settings.model_copy(update={"detector": own}))
        if self._detector is None:
            self._detector = build_detector(self.settings)
        return self._detector

    def _load_embedder(self) -> Embedder:
        from reid import load_embedder

        if self._embedder is None:
            if self.settings.embedder.weights == "none":
                raise DataError(
                    f"the recipe {self.settings.tracker.name!r} matches by appearance and needs an embedder: "
                    "give --reid WEIGHTS, or --motion-only to leave appearance out"
                )
            self._embedder = load_embedder(self.settings.embedder.weights, device=self.settings.device)
        return self._embedder


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of so many; the last may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _frames(sequence: SequenceFolder, stage: str, report: Reporter) -> Iterator[Frame]:
    """All frames, reported as they go.

    Raises:
        DataError: they end early, some are damaged, or of another size.
    """
    with open_frames(sequence) as source:
        done = 0
        for done, frame in enumerate(source, 1):
            yield frame
            report(stage, done)
        if source.rescaled:
            raise DataError(f"{sequence.folder}: {source.rescaled} frames are not of the first one's size")
        if source.problem is not None or done != sequence.length:
            raise DataError(source.problem or f"{sequence.folder}: {done} frames, expected {sequence.length}")
