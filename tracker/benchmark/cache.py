"""What was seen in a sequence, on disk: detections, embeddings and the camera's motion, in columns.

Three Parquet files a sequence, each with what it was made of: the frames' fingerprint, the hashes and settings of
detector and embedder. A file that is not of what is asked for, or not whole, is never used.
"""

from __future__ import annotations

import glob
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reid.embedder import weights_path
from reid.files import replacing, writing
from reid.runtime import sha256
from tracker.benchmark.dataset import SequenceFolder
from tracker.config import PipelineSettings
from tracker.detection import BUNDLED
from tracker.errors import DataError
from tracker.types import Detections

VERSION = 1
ABOUT = b"reacquire"
"""Under which key of a file's metadata the JSON is that says what it was made of."""
EMBED_FROM = 0.1
"""Detections of a lower score are not embedded, except for a recipe that compares them by appearance."""

DETECTIONS = pa.schema(
    [("frame", pa.int32()), *((c, pa.float32()) for c in ("x1", "y1", "x2", "y2", "score")), ("class_id", pa.int64())]
)
CAMERA = pa.schema([(c, pa.float64()) for c in ("a", "b", "tx", "c", "d", "ty")])


class CacheError(DataError):
    """The cache lacks something, or holds what is out of date or damaged."""


@dataclass(slots=True)
class CachedInputs:
    """All that association needs of a sequence.

    Attributes:
        first: ``(F + 1,)``; the rows of frame `f`, counted from the split's first, are `first[f]` up to but without
            `first[f + 1]`.
        xyxy: ``(N, 4)`` float32, pixels.
        score: ``(N,)`` float32.
        class_id: ``(N,)`` int64.
        embedding: ``(N, D)`` float32, zeros below `embedded_from`; None where not asked for.
        embedded_from: lowest score of detections that have an embedding.
        motions: ``(F, 2, 3)`` of the camera by how they were measured.
    """

    first: NDArray[np.int64]
    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    class_id: NDArray[np.int64]
    embedding: NDArray[np.float32] | None
    embedded_from: float
    motions: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        """Frames."""
        return len(self.first) - 1

    def detections(self, frame: int) -> Detections:
        """Of a frame, counted from 0."""
        rows = slice(int(self.first[frame]), int(self.first[frame + 1]))
        looks = None if self.embedding is None else self.embedding[rows]
        return Detections(self.xyxy[rows], self.score[rows], self.class_id[rows], looks)


def detector_key(settings: PipelineSettings, sequence: SequenceFolder) -> dict[str, Any]:
    """What a sequence's detections depend on, beside its frames."""
    asked = settings.detector.model_dump(mode="json", exclude={"trust"})
    if asked["weights"] == "public":
        if sequence.public is None:
            raise DataError(
                f"{sequence.folder}: no public detections, expected det/det.txt"
                + ("; give --detector WEIGHTS to detect" if sequence.images else ", and no frames in img1/")
            )
        return {"weights": "public", "sha256": sha256(sequence.public), "score": asked["score"]}
    folder = bundled_folder()
    path = folder / BUNDLED[asked["weights"]] if asked["weights"] in BUNDLED else Path(asked["weights"])
    return asked | {"weights": path.name, "sha256": _hash(path)}


def bundled_folder() -> Path:
    """Where the bundled detectors lie."""
    import tracker.detection

    return Path(tracker.detection.__file__).parent / "weights"


def embedded_from(settings: PipelineSettings) -> float:
    """Lowest score of detections that are embedded: the same for all usual recipes, so that they share a cache."""
    return min(EMBED_FROM, settings.tracker.embedding_score)


def embedder_key(settings: PipelineSettings) -> dict[str, Any]:
    """What embeddings depend on, beside the detections."""
    path = weights_path(settings.embedder.weights)
    return {"weights": path.name, "sha256": _hash(path), "embedded_from": embedded_from(settings)}


def fingerprint(sequence: SequenceFolder) -> str:
    """Of the frames, without reading them all: names, sizes, and the bytes of the first, the middle and the last."""
    digest = hashlib.sha256(json.dumps([sequence.start, sequence.length, sequence.size]).encode())
    if sequence.images is not None:
        files = sorted(p for p in sequence.images.iterdir() if p.is_file())
        digest.update(json.dumps([[p.name, p.stat().st_size] for p in files]).encode())
        for path in (files[0], files[len(files) // 2], files[-1]):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _hash(path: Path) -> str | None:
    """Of a file, or of all files of a folder; None for weights that are a mere name."""
    if path.is_dir():
        parts = sorted(p for p in path.rglob("*") if p.is_file())
        return _short([[str(p.relative_to(path)), sha256(p)] for p in parts], 64)
    return sha256(path) if path.is_file() else None


def _short(value: Any, length: int = 8) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:length]


class Cache:
    """A folder of what was seen.

    Args:
        folder: made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entry(self, sequence: SequenceFolder, settings: PipelineSettings) -> Entry:
        """The place of a sequence seen with a detector and an embedder."""
        return Entry(self.folder, sequence, settings)


class Entry:
    """A sequence's three kinds of files for one detector and one embedder."""

    def __init__(self, folder: Path, sequence: SequenceFolder, settings: PipelineSettings) -> None:
        self.folder, self.sequence = folder, sequence
        self.embedded_from = embedded_from(settings)
        self._frames = fingerprint(sequence)
        self._detector = detector_key(settings, sequence)
        self._embedder = embedder_key(settings) if settings.embedder.weights != "none" else None

    def path(self, kind: str) -> Path:
        """The file of "detections", "embeddings", or the camera's motion by a method."""
        parts = [self.sequence.name, self.sequence.split, self._frames[:8], _short(self._detector)]
        if kind == "embeddings":
            parts.append(_short(self._embedder))
        return self.folder / f"{'.'.join(parts)}.{kind}.parquet"

    def about(self, kind: str) -> dict[str, Any]:
        """What a file must be made of."""
        made = {"version": VERSION, "kind": kind, "frames": self._frames, "detector": self._detector}
        return made | ({"embedder": self._embedder} if kind == "embeddings" else {})

    def write(self, kind: str, schema: pa.Schema, batches: Iterable[Mapping[str, Any]]) -> None:
        """Write a file batch by batch; it gets its name when it is whole."""
        path = self.path(kind)
        schema = schema.with_metadata({ABOUT: json.dumps(self.about(kind)).encode()})
        with writing(path):
            self.folder.mkdir(parents=True, exist_ok=True)
        # A file rather than its name: Arrow takes names for addresses, and knows none that are not Unicode.
        with (
            replacing(path, contended=True) as partial,
            partial.open("wb") as file,
            pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer,
        ):
            for batch in batches:
                columns = [_column(batch[f.name], f.type) for f in schema]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))

    def read(self, kind: str) -> pa.Table:
        """A whole file.

        Raises:
            CacheError: not there, damaged, or of another version.
        """
        path = self.path(kind)
        if not path.is_file():
            raise CacheError(f"{self.folder}: no {kind} of {self.sequence.name} ({self.sequence.split}){self._hint()}")
        try:
            with path.open("rb") as file, pq.ParquetFile(file, page_checksum_verification=True) as stored:
                made = json.loads((stored.schema_arrow.metadata or {}).get(ABOUT, b"{}"))
                table = stored.read(use_threads=False) if made == self.about(kind) else None
        except (pa.ArrowException, OSError, ValueError) as error:
            raise CacheError(f"{path}: damaged or cut off ({_line(error)})") from error
        if table is None:
            raise CacheError(f"{path}: made by another version")
        return table

    def _hint(self) -> str:
        """What there is of the sequence instead."""
        name, split = self.sequence.name, self.sequence.split
        others = [_about(p) for p in sorted(self.folder.glob(f"{glob.escape(name)}.{split}.*.detections.parquet"))]
        same = [made for made in others if made.get("frames") == self._frames]
        if any(made.get("detector") == self._detector for made in same) or not others:
            return ""
        if same:
            return f" by this detector; there are those of: {', '.join(str(m['detector']['weights']) for m in same)}"
        return " of these frames: they have changed since, or what is there is of another data set"

    def load(self, *, embed: bool, cameras: Iterable[str]) -> CachedInputs:
        """What was seen.

        Raises:
            CacheError: something of it is not there or damaged.
        """
        table = self.read("detections")
        xyxy = np.column_stack([table[c].to_numpy() for c in ("x1", "y1", "x2", "y2")]).reshape(-1, 4)
        first = np.searchsorted(table["frame"].to_numpy(), np.arange(self.sequence.length + 1)).astype(np.int64)
        return CachedInputs(
            first=first,
            xyxy=np.ascontiguousarray(xyxy, np.float32),
            score=np.array(table["score"].to_numpy(), np.float32),
            class_id=np.array(table["class_id"].to_numpy(), np.int64),
            embedding=self._embeddings(len(table)) if embed else None,
            embedded_from=self.embedded_from,
            motions={method: self._motions(method) for method in cameras},
        )

    def _embeddings(self, rows: int) -> NDArray[np.float32]:
        table = self.read("embeddings")
        column = table["embedding"].combine_chunks()
        vectors = np.array(column.flatten().to_numpy(), np.float32).reshape(len(table), column.type.list_size)
        where = table["row"].to_numpy()
        if len(where) and where.max() >= rows:
            raise CacheError(f"{self.path('embeddings')}: of other detections")
        every = np.zeros((rows, vectors.shape[1]), np.float32)
        every[where] = vectors
        return every

    def _motions(self, method: str) -> NDArray[np.float64]:
        table = self.read(method)
        if len(table) != self.sequence.length:
            raise CacheError(f"{self.path(method)}: {len(table)} frames, expected {self.sequence.length}")
        return np.column_stack([table[c].to_numpy() for c in CAMERA.names]).reshape(-1, 2, 3)


def _about(path: Path) -> dict[str, Any]:
    """What a file says that it was made of; nothing where it cannot be read."""
    try:
        with path.open("rb") as file:
            made = json.loads((pq.read_schema(file).metadata or {}).get(ABOUT, b"{}"))
    except (pa.ArrowException, OSError, ValueError):
        return {}
    return made if isinstance(made, dict) else {}


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    return values if isinstance(values, pa.Array) else pa.array(values, kind)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
