"""The one engine that runs every recipe: predict, associate stage by stage, update, give birth, bury."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.association.lifecycle import step
from tracker.association.memory import Memory
from tracker.association.program import compile_recipe
from tracker.association.recipe import Recipe
from tracker.association.stream import fresh
from tracker.errors import DataError
from tracker.motion.kalman import KINDS, STILL
from tracker.types import Detections, Tracks

if TYPE_CHECKING:
    import pyarrow as pa

    from tracker.association.explain import Record
    from tracker.motion.camera import CameraMotion

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

BLIND = np.zeros((2**40, 0), np.float32)
"""The embeddings of detections that have none, however many."""
LEAST_ROOM = 64
NEXT = math.nan
"""The time of a frame that comes a nominal step after the last."""


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
        self.needs_image = camera is not None and camera.needs_image
        self._camera = camera
        self._recording = record
        self.uses_embedding = recipe.uses_embedding
        self.needs_embedding = recipe.needs_embedding
        self.embedding_score = recipe.embedding_score
        self._seeing = compile_recipe(recipe, looks=True)
        self._blind = self._seeing if self.needs_embedding else compile_recipe(recipe, looks=False)
        self._ledger, self._stream = np.zeros(at.L_WIDTH), fresh()
        self.reset()

    def reset(self) -> None:
        """Forget everything; ids begin at 1 again."""
        self._ledger[:], self._stream[:] = 0.0, fresh()
        self._ledger[[at.L_FIRST, at.L_NOW]] = np.nan
        self._ledger[at.L_NEXT_ID] = 1
        self._make_room(0, 0)
        self._record = _new_record() if self._recording else None
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
            detections: validated here; never changed. Embeddings of any length but nil count as of unit length.
            timestamp: seconds, later than the last; one nominal frame (`frame_rate`) after it when None.
            image: of the frame; only for recipes whose `needs_image` is true.
            include_lost: also return tracks out of sight, at their predicted boxes, `detection` -1, and those that
                the recipe holds back for a while after they were found again (`birth.shown_after`).

        Returns:
            Confirmed tracks that were matched in this frame, by id; and those just lost, as `death` says: for
            `shown_seconds`, or while they are still there with `shown_chance`.

        Raises:
            DataError: a row with NaN, negative size or a score outside 0–1; a frame out of order; no
                embeddings for a recipe that compares them, or of another length than those before; an image that
                is none.
        """
        now = NEXT if timestamp is None else _seconds(timestamp)
        embedding = self._embedding(detections) if self.uses_embedding else BLIND
        if self._camera is not None and (image is not None or not self.needs_image):
            self._follow(self._camera, image, detections, now)
        xyxy, score, class_id = detections.xyxy, detections.score, detections.class_id
        if not (xyxy.flags.carray and score.flags.carray and class_id.flags.carray):
            xyxy, score, class_id = _ready(xyxy), _ready(score), _ready(class_id)
        looks = detections.embedding is not None
        while True:
            fault, shown, pairs = step(
                self._where[looks], xyxy, score, class_id, embedding, now, include_lost, self._recording
            )
            if not fault:
                break
            self._mend(fault, detections, embedding, now)
        if self._record is not None:
            assert pairs is not None
            self._record.add(float(self._ledger[at.L_NOW]), pairs, self._table[: self._count], xyxy, score)
        return Tracks.from_rows(self._out[:shown].copy())

    def _follow(
        self, camera: CameraMotion, image: NDArray[np.uint8] | None, detections: Detections, now: float
    ) -> None:
        """Note how the camera moved, once it is sure that the frame will be taken."""
        detections.validate()
        self._check_order(now)
        moved = camera.estimate(image, detections.xyxy)
        if moved is not STILL:
            self._ledger[at.L_MOVED] = 1
            self._ledger[at.L_CAMERA :] = moved.ravel()

    def _mend(self, fault: int, detections: Detections, embedding: Float32, now: float) -> None:
        """Make room where that is what a frame lacks; refuse it otherwise."""
        if fault == at.NO_ROOM:
            self._make_room(self._count + len(detections), max(embedding.shape[1], self._looks.shape[2]))
        self._check_order(now)
        detections.validate()

    def _check_order(self, now: float) -> None:
        before = self._ledger[at.L_NOW]
        if now <= before:
            raise DataError(f"frame out of order: timestamp {now} s after {before} s")

    def take_record(self) -> pa.Table:
        """What was thought of every pair since the last call, a row a pair; see `tracker.association.explain`.

        Raises:
            DataError: the engine was not made with `record=True`.
        """
        if self._record is None:
            raise DataError("nothing was recorded: make the engine with load_tracker(..., record=True)")
        return self._record.take(self.recipe)

    @property
    def next_id(self) -> int:
        """The id of the next track that is confirmed."""
        return int(self._ledger[at.L_NEXT_ID])

    def skip(self, seconds: float) -> None:
        """Let so much time not have been, as after a pause in which nobody looked."""
        self._ledger[[at.L_FIRST, at.L_NOW]] += seconds
        past = range(at.PAST, at.PAST + 5 * at.PASTS, 5)
        self._table[: self._count, [at.BORN, at.SEEN, *past]] += seconds

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Everything that the next frame depends on, as plain arrays for `np.savez`."""
        n = self._count
        state: dict[str, NDArray[np.generic]] = {
            "clock": self._ledger[[at.L_FIRST, at.L_NOW]],
            "next_id": self._ledger[[at.L_NEXT_ID]].astype(np.int64),
            "serial": self._ledger[[at.L_BORN]].astype(np.int64),
            "motion": np.array([KINDS[self.recipe.motion.state]]),
            "table": self._table[:n].copy(),
            "looks": self._looks[:n].copy(),
            "quality": self._quality[:n].copy(),
            "stream": self._stream.copy(),
        }
        return state | (
            {} if self._camera is None else {f"camera.{k}": v for k, v in self._camera.state_dict().items()}
        )

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue, to the bit, where `state_dict` was taken.

        Raises:
            DataError: the state lacks an array, one has another shape, or its boxes are kept in another way
                (`motion.state`), as those of another version or recipe would.
        """
        missing = [name for name in self.state_dict() if name not in state]
        if missing:
            raise DataError(f"the saved state has no {', '.join(missing)}: it is of another version")
        if state["motion"][0] != KINDS[self.recipe.motion.state]:
            raise DataError(
                f"the saved state is of a recipe with another motion.state than {self.recipe.motion.state!r}: "
                f"continue with that recipe, or begin anew"
            )
        clock, table, looks, quality, stream = (
            np.asarray(state[name]) for name in ("clock", "table", "looks", "quality", "stream")
        )
        n = len(table)
        shapes = clock.shape, table.shape, looks.shape[:2], quality.shape, stream.shape
        expected = (2,), (n, at.WIDTH), (n, self._slots), (n, self._slots), self._stream.shape
        if shapes != expected:
            raise DataError(
                f"the saved state's arrays have shapes {shapes}, expected {expected}: "
                "it is of another version or recipe"
            )
        self._ledger[at.L_TRACKS] = 0
        self._make_room(n, looks.shape[2])
        self._ledger[[at.L_FIRST, at.L_NOW]] = clock
        self._ledger[[at.L_NEXT_ID, at.L_BORN, at.L_TRACKS]] = state["next_id"][0], state["serial"][0], n
        self._table[:n], self._looks[:n], self._quality[:n] = table, looks, quality
        self._stream[:] = stream
        if self._camera is not None:
            self._camera.load_state_dict({k[7:]: state[k] for k in self.state_dict() if k.startswith("camera.")})

    @property
    def _slots(self) -> int:
        """Embeddings a track keeps: its mean and its samples."""
        return 1 + self.recipe.appearance.samples

    @property
    def _count(self) -> int:
        """Tracks there are."""
        return int(self._ledger[at.L_TRACKS])

    def _make_room(self, tracks: int, dimension: int) -> None:
        """Room for twice as many tracks, with those there are."""
        n, room = self._count, max(LEAST_ROOM, 2 * tracks)
        table, quality = np.zeros((room, at.WIDTH)), np.zeros((room, self._slots))
        looks = np.zeros((room, self._slots, dimension), np.float32)
        if n:
            table[:n], quality[:n] = self._table[:n], self._quality[:n]
            looks[:n, :, : self._looks.shape[2]] = self._looks[:n]  # no dimensions until the first embedding comes
        self._table: Float64 = table
        self._looks: Float32 = looks
        self._quality: Float64 = quality
        self._locate()

    def _locate(self) -> None:
        """Note where everything lies, for frames without embeddings and with."""
        kept = self._ledger, self._table, self._looks, self._quality, self._stream
        blind = Memory.of(*kept, *self._blind)
        seeing = blind._replace(stages=self._seeing[0], rules=self._seeing[1])
        self._memory, self._where = (blind, seeing), (blind.addresses(), seeing.addresses())
        self._out = blind.out  # the same for both

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy's arrays lie elsewhere."""
        self.__dict__.update(state)
        self._locate()

    def _embedding(self, detections: Detections) -> Float32:
        """``(N, D)``, for recipes that compare appearance."""
        if detections.embedding is None:
            if len(detections) and self.needs_embedding:
                raise DataError(
                    f"the recipe {self.recipe.name!r} compares appearance, but the detections have no embedding: "
                    "fill them with detections.with_embedding(load_embedder().embed(image, detections.xyxy)), "
                    "or take a recipe that uses motion alone"
                )
            return BLIND
        dimension, before = detections.embedding.shape[1], self._looks.shape[2]
        if len(detections) and before and dimension != before:
            raise DataError(
                f"embeddings have {dimension} dimensions, those before had {before}: an engine takes those of one "
                "embedder; reset() it for another's"
            )
        return _ready(_unit(detections.embedding))


def _new_record() -> Record:
    from tracker.association.explain import Record  # and with it pyarrow, which costs as much as all the rest of us

    return Record()


def _seconds(timestamp: float) -> float:
    """A timestamp that can be one."""
    now = float(timestamp)
    if not math.isfinite(now):
        raise DataError(f"frame with timestamp {timestamp}: expected finite seconds")
    return now


def _unit(embedding: Float32) -> Float32:
    """Embeddings of unit length, those of no length as they are: it is the same look however long its vector is."""
    squared = np.einsum("ij,ij->i", embedding, embedding)
    off = (np.abs(squared - 1) > 0.01) & (squared > 0)
    if not off.any():
        return embedding
    length = np.sqrt(np.where(off, squared, 1)).astype(np.float32)
    unit: Float32 = embedding / length[:, None]
    return unit


def _ready(array: NDArray[Any]) -> NDArray[Any]:
    """`array` as the compiled functions know it: contiguous and writeable; copied only where it is not."""
    return array if array.flags.carray else np.array(array, order="C")
