"""The one engine that runs every recipe: predict, associate stage by stage, update, give birth, bury."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.association.explain import Record
from tracker.association.lifecycle import first_fault, step
from tracker.association.program import compile_recipe
from tracker.association.recipe import Recipe
from tracker.errors import DataError
from tracker.motion.kalman import STILL
from tracker.types import Detections, Tracks

if TYPE_CHECKING:
    import pyarrow as pa

    from tracker.motion.camera import CameraMotion

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

BLIND = np.zeros((1, 0), np.float32)
LEAST_ROOM = 64


class Engine:
    """Gives detections their ids, one frame at a time.

    The same input gives the same output, always; two engines share nothing.

    Args:
        recipe: what to do.
        camera: measures how the camera moved, for recipes with `camera_motion`.
        record: keep what was thought of every pair, for `take_record`.

    Attributes:
        needs_image: `update` wants the frame's picture; without one the camera counts as still.
        uses_embedding: it compares looks where the detections of a frame have embeddings.
        needs_embedding: they must have them.
        embedding_score: those with a lower score may have zeros instead.
    """

    def __init__(self, recipe: Recipe, camera: CameraMotion | None = None, *, record: bool = False) -> None:
        self.recipe = recipe
        self.needs_image = camera is not None
        self._camera = camera
        self._recording = record
        self.uses_embedding = recipe.uses_embedding
        self.needs_embedding = recipe.needs_embedding
        self.embedding_score = recipe.embedding_score
        self._seeing = compile_recipe(recipe, looks=True)
        self._blind = self._seeing if self.needs_embedding else compile_recipe(recipe, looks=False)
        self.reset()

    def reset(self) -> None:
        """Forget everything; ids begin at 1 again."""
        self._count = self._serial = 0
        self._next_id = 1
        self._clock: Float64 | None = None
        self._table, self._looks, self._quality = self._room(LEAST_ROOM, 0)
        self._record = Record()
        if self._camera is not None:
            self._camera.reset()

    def update(
        self,
        detections: Detections,
        *,
        timestamp: float | None = None,
        image: NDArray[np.uint8] | None = None,
        include_lost: bool = False,
    ) -> Tracks:
        """Take one frame's detections and return its tracks.

        Args:
            detections: validated here; never changed.
            timestamp: seconds, later than the last; one nominal frame (`frame_rate`) after it when None.
            image: of the frame; only for recipes whose `needs_image` is true.
            include_lost: also return tracks out of sight, at their predicted boxes, `detection` -1, and those that
                the recipe holds back for a while after they were found again (`birth.shown_after`).

        Returns:
            Confirmed tracks that were matched in this frame, by id; and for as long as `death.shown_seconds` says,
            those just lost.

        Raises:
            DataError: a row with NaN, negative size or a score outside 0–1; a frame out of order; no
                embeddings for a recipe that compares them.
        """
        xyxy, score = _ready(detections.xyxy), _ready(detections.score)
        embedding = self._embedding(detections)
        if first_fault(xyxy, score, embedding) >= 0:
            detections.validate()
        clock = self._clock_at(timestamp)
        if self._count + len(xyxy) > len(self._table) or embedding.shape[1] != self._looks.shape[2]:
            self._make_room(self._count + len(xyxy), embedding.shape[1])
        if not len(embedding):
            embedding = np.zeros((max(len(xyxy), 1), embedding.shape[1]), np.float32)
        moved = STILL
        if self._camera is not None and image is not None:
            moved = self._camera.estimate(image, xyxy)
        stages, rules = self._blind if detections.embedding is None else self._seeing
        self._count, self._serial, self._next_id, tracks, pairs = step(
            self._table, self._count, self._looks, self._quality, stages, rules, clock, self._serial,
            self._next_id, xyxy, score, _ready(detections.class_id), embedding, moved, moved is not STILL,
            include_lost, self._recording,
        )  # fmt: skip
        if self._recording:
            self._record.add(clock[2], pairs, self._table[: self._count], xyxy, score)
        self._clock = clock
        return Tracks.unchecked(*tracks)

    def take_record(self) -> pa.Table:
        """What was thought of every pair since the last call, a row a pair; see `tracker.association.explain`.

        Raises:
            DataError: the engine was not made with `record=True`.
        """
        if not self._recording:
            raise DataError("nothing was recorded: make the engine with load_tracker(..., record=True)")
        return self._record.take(self.recipe)

    def skip(self, seconds: float) -> None:
        """Let so much time not have been, as after a pause in which nobody looked."""
        if self._clock is not None:
            self._clock += seconds
            past = range(at.PAST, at.PAST + 5 * at.PASTS, 5)
            self._table[: self._count, [at.BORN, at.SEEN, *past]] += seconds

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Everything that the next frame depends on, as plain arrays for `np.savez`."""
        n = self._count
        return {
            "next_id": np.array([self._next_id]),
            "serial": np.array([self._serial]),
            "clock": np.full(3, np.nan) if self._clock is None else self._clock.copy(),
            "table": self._table[:n].copy(),
            "looks": self._looks[:n].copy(),
            "quality": self._quality[:n].copy(),
        } | ({} if self._camera is None else {f"camera.{k}": v for k, v in self._camera.state_dict().items()})

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue, to the bit, where `state_dict` was taken.

        Raises:
            DataError: the state lacks an array, or one has another shape, as those of another version or recipe would.
        """
        missing = [name for name in self.state_dict() if name not in state]
        if missing:
            raise DataError(f"the saved state has no {', '.join(missing)}: it is of another version")
        table, looks, quality = (np.asarray(state[name]) for name in ("table", "looks", "quality"))
        expected = (len(table), at.WIDTH), (len(table), self._slots), (len(table), self._slots)
        if (table.shape, looks.shape[:2], quality.shape) != expected:
            raise DataError(
                f"the saved state's arrays have shapes {table.shape}, {looks.shape} and {quality.shape}, expected "
                f"{expected}: it is of another version or recipe"
            )
        clock = np.asarray(state["clock"], np.float64)
        self._clock = None if np.isnan(clock[0]) else clock.copy()
        self._next_id, self._serial = int(state["next_id"][0]), int(state["serial"][0])
        self._count = 0
        self._make_room(len(table), looks.shape[2])
        self._count = len(table)
        self._table[: self._count], self._looks[: self._count] = table, looks
        self._quality[: self._count] = quality
        if self._camera is not None:
            self._camera.load_state_dict({k[7:]: state[k] for k in self.state_dict() if k.startswith("camera.")})

    @property
    def _slots(self) -> int:
        """Embeddings a track keeps: its mean and its samples."""
        return 1 + self.recipe.appearance.samples

    def _room(self, tracks: int, dimension: int) -> tuple[Float64, Float32, Float64]:
        """Empty arrays for so many tracks."""
        looks = np.zeros((tracks, self._slots, dimension), np.float32)
        return np.zeros((tracks, at.WIDTH)), looks, np.zeros((tracks, self._slots))

    def _make_room(self, tracks: int, dimension: int) -> None:
        """Room for twice as many tracks, with those there are."""
        n = self._count
        old = self._table, self._looks, self._quality
        self._table, self._looks, self._quality = self._room(max(LEAST_ROOM, 2 * tracks), dimension)
        if n:
            self._table[:n], self._quality[:n] = old[0][:n], old[2][:n]
            self._looks[:n, :, : old[1].shape[2]] = old[1][:n]  # without dimensions until the first embedding comes

    def _embedding(self, detections: Detections) -> Float32:
        """``(N, D)``; without rows where there are none, or the recipe does not compare appearance."""
        if not self.uses_embedding:
            return BLIND[:0]
        if detections.embedding is None:
            if len(detections) and self.needs_embedding:
                raise DataError(
                    f"the recipe {self.recipe.name!r} compares appearance, but the detections have no embedding: "
                    "fill them with detections.with_embedding(load_embedder().embed(image, detections.xyxy)), "
                    "or take a recipe that uses motion alone"
                )
            return np.zeros((0, self._looks.shape[2]), np.float32)
        dimension, before = detections.embedding.shape[1], self._looks.shape[2]
        if self._count and before and dimension != before:
            if not len(detections):
                return np.zeros((0, before), np.float32)
            raise DataError(f"embeddings have {dimension} dimensions, those before had {before}")
        return _ready(detections.embedding)

    def _clock_at(self, timestamp: float | None) -> Float64:
        """Seconds of the first frame, of the last and of this one."""
        if self._clock is None:
            now = 0.0 if timestamp is None else float(timestamp)
            if not np.isfinite(now):
                raise DataError(f"frame with timestamp {timestamp}: expected finite seconds")
            return np.array([now, now, now])
        start, _, before = self._clock.tolist()
        now = before + 1 / self.recipe.frame_rate if timestamp is None else float(timestamp)
        if not np.isfinite(now):
            raise DataError(f"frame with timestamp {timestamp}: expected finite seconds")
        if now <= before:
            raise DataError(f"frame out of order: timestamp {timestamp} s after {before} s")
        return np.array([start, before, now])


def _ready(array: NDArray[Any]) -> NDArray[Any]:
    """`array` as the compiled functions know it: contiguous and writeable; copied only where it is not."""
    return array if array.flags.carray else np.array(array, order="C")
