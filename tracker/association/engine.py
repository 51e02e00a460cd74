"""The one engine that runs every recipe: predict, associate stage by stage, update, give birth, bury."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tracker.association import frame as fr
from tracker.association.buffers import Buffers, make_buffers
from tracker.association.compile import compile_recipe
from tracker.association.python_costs import PythonCost, ask, functions_of
from tracker.association.recipe import Recipe
from tracker.association.rejoin import length_of_pause, show_embeddings
from tracker.association.state import LARGEST_ID, LATEST, check_state, read_state, save_state, without_embeddings
from tracker.errors import DataError
from tracker.motion.kalman import STILL
from tracker.types import Detections, Tracks

if TYPE_CHECKING:
    import pyarrow as pa

    from tracker.association.explain import Record
    from tracker.motion.camera import CameraMotion

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

NO_EMBEDDINGS = np.zeros((0, 0), np.float32)
LEAST_ROOM, LEAST_PAIRS = 64, 256
NEXT = math.nan
"""The time of a frame that comes a nominal step after the last."""


class Engine:
    """Gives detections their ids, one frame at a time.

    The same input gives the same output, always; two engines share nothing. An engine is for one thread at a time: a
    call that comes while another is at work is refused, and leaves everything as it is.

    Args:
        recipe: what to do.
        camera: measures how the camera moved, for recipes with `camera_motion`.
        record: keep what was thought of every pair, for `take_record`.
        costs: functions for stages of `cost: python`, by name.

    Attributes:
        needs_image: `update` wants the frame's picture; without one the camera counts as still.
        uses_embedding: it compares embeddings where the detections of a frame have some.
        needs_embedding: they must have them.
        embedding_score: those with a lower score may have zeros instead.
    """

    _buffers: Buffers
    _arrays: tuple[Any, ...]
    _arrays_with: tuple[Any, ...]
    _output: NDArray[np.uint8]
    _include_lost: bool | None

    def __init__(
        self,
        recipe: Recipe,
        camera: CameraMotion | None = None,
        *,
        record: bool = False,
        costs: Mapping[str, PythonCost] | None = None,
    ) -> None:
        self.recipe = recipe
        self.needs_image = camera is not None and camera.needs_image
        self.uses_embedding = recipe.uses_embedding
        self.needs_embedding = recipe.needs_embedding
        self.embedding_score = recipe.embedding_score
        self._camera = camera
        self._recording = record
        self._functions = functions_of(recipe, costs or {})
        self._with = compile_recipe(recipe, embeddings=True)
        self._without = self._with if self.needs_embedding else compile_recipe(recipe, embeddings=False)
        self._prepare()
        self.reset()

    def _prepare(self) -> None:
        """What is no part of a copy: the functions that are compiled, and the guard."""
        self._guard = threading.Lock()
        self._parts = fr.parts_of(self.recipe)

    @cached_property
    def _frame(self) -> Callable[..., tuple[int, int]]:
        """The compiled function that runs a frame, for arrays as those of `Detections.checked` and of `Buffers`."""
        none = Detections.empty().checked()[:3]
        code: Callable[..., tuple[int, int]] = fr.make_frame(self._parts).code_for(
            self._arrays, *none, NO_EMBEDDINGS, NEXT
        )
        return code

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Refuse a second caller while one is at work."""
        if not self._guard.acquire(False):
            raise DataError(BUSY)
        try:
            yield
        finally:
            self._guard.release()

    def reset(self) -> None:
        """Forget everything; ids begin at 1 again."""
        with self._alone():
            self._use(self._room(LEAST_ROOM, 0))
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
            detections: validated here; never changed. Embeddings of any length but nil count as of unit length. A box
                without area is matched by nobody's overlap, and begins no track.
            timestamp: seconds, later than the last; one nominal frame (`frame_rate`) after it when None.
            image: of the frame; only for recipes whose `needs_image` is true.
            include_lost: also return tracks out of sight, at their predicted boxes, `detection` -1, and those that
                the recipe holds back for a while after they were found again (`birth.shown_after`).

        Returns:
            Confirmed tracks that were matched in this frame, by id; and those just lost, as `death` says: for
            `shown_seconds`, or while they are still there with `min_survival_probability`.

        Raises:
            DataError: no `Detections`, or fields of them that do not belong together; a row with NaN, negative size or
                a score outside 0–1; a frame out of order; no embeddings for a recipe that compares them, or of another
                length than those before; an image that is none; another thread is using the engine.
        """
        if not self._guard.acquire(False):
            raise DataError(BUSY)
        try:
            return self._update(detections, NEXT if timestamp is None else _seconds(timestamp), image, include_lost)
        finally:
            self._guard.release()

    def _update(
        self, detections: Detections, now: float, image: NDArray[np.uint8] | None, include_lost: bool
    ) -> Tracks:
        if not isinstance(detections, Detections):
            raise DataError(_no_detections(detections))
        xyxy, score, class_id, found = detections.checked()
        embedding = NO_EMBEDDINGS if not self.uses_embedding else self._embedding(found, len(xyxy))
        if self._camera is not None and (image is not None or not self.needs_image):
            self._follow(self._camera, image, detections, now)
        if self._functions:
            self._ask_python(detections, now)
        if include_lost is not self._include_lost:
            self._buffers.counters["include_lost"] = include_lost
            self._include_lost = include_lost
        before = self._snapshot() if self._recording else None
        while True:
            arrays = self._arrays if found is None else self._arrays_with
            fault, shown = self._frame(arrays, xyxy, score, class_id, embedding, now)
            if fault:
                self._mend(fault, detections, embedding, now)
            elif before is not None and self._buffers.counters["pairs"][0] >= len(self._buffers.pairs):
                before = self._once_more(before, int(self._buffers.counters["pairs"][0]))
            else:
                break
        if self._record is not None:
            self._write_down(xyxy, score)
        return Tracks.from_records(self._output[:shown].copy())

    def _follow(
        self, camera: CameraMotion, image: NDArray[np.uint8] | None, detections: Detections, now: float
    ) -> None:
        """Note how the camera moved, once it is sure that the frame will be taken."""
        detections.validate()
        self._check_order(now)
        moved = camera.estimate(image, detections.xyxy)
        if moved is not STILL:
            self._buffers.counters["moved"], self._buffers.counters["camera"] = True, moved

    def _mend(self, fault: int, detections: Detections, embedding: Float32, now: float) -> None:
        """Make room where that is what a frame lacks; refuse it otherwise."""
        if fault == fr.NO_ROOM:
            dimension = max(embedding.shape[1], self._buffers.gallery.shape[2])
            self._grow(2 * (self._count + len(detections)), dimension)
        self._check_order(now)
        detections.validate()

    def _check_order(self, now: float) -> None:
        before = float(self._buffers.counters["before"][0])
        if now <= before:
            raise DataError(f"frame out of order: timestamp {now} s after {before} s")

    def _ask_python(self, detections: Detections, now: float) -> None:
        """Have the caller's functions say what every pair costs, at the boxes where the tracks are expected."""
        detections.validate()
        self._check_order(now)
        forecast = self._snapshot()
        fr.make_forecast(self._parts)(forecast, now)
        self._use(self._buffers._replace(given=ask(self._functions, forecast, detections)))

    def take_record(self) -> pa.Table:
        """What was thought of every pair since the last call, a row a pair; see `tracker.association.explain`.

        Raises:
            DataError: the engine was not made with `record=True`; another thread is using it.
        """
        with self._alone():
            if self._record is None:
                raise DataError("nothing was recorded: make the engine with load_tracker(..., record=True)")
            return self._record.take(self.recipe)

    @property
    def next_id(self) -> int:
        """The id of the next track that is confirmed."""
        return int(self._buffers.counters["next_id"][0])

    def skip(self, seconds: float) -> None:
        """Shift all clocks by `seconds`, as after a pause in which nobody looked.

        Raises:
            DataError: no finite number of seconds; another thread is using the engine.
        """
        seconds = _seconds(seconds)
        with self._alone():
            if abs(self.seconds + seconds) > LATEST:
                raise DataError(
                    f"{self.seconds} s cannot be shifted by {seconds} s: times are at most {LATEST:g} s from 0"
                )
            counters, tracks = self._buffers.counters, self._buffers.tracks[: self._count]
            for name in ("first", "before"):
                counters[name] += seconds
            for name in ("born", "seen", "history_time"):
                tracks[name] += seconds

    @property
    def seconds(self) -> float:
        """Time of the last frame; NaN before any."""
        return float(self._buffers.counters["before"][0])

    def state_dict(self, *, embeddings: bool = True) -> dict[str, NDArray[np.generic]]:
        """Everything that the next frame depends on, as plain arrays for `np.savez`.

        Args:
            embeddings: false leaves out what tracks look like, and parts of pictures: they are personal data.

        Raises:
            DataError: another thread is using the engine.
        """
        with self._alone():
            state = save_state(self.recipe, self._buffers)
            camera = {} if self._camera is None else self._camera.state_dict()
        if not embeddings:
            return without_embeddings(state)
        return state | {f"camera.{name}": value for name, value in camera.items()}

    def load_state_dict(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue, to the bit, where `state_dict` was taken. Where that cannot be, nothing changes.

        Raises:
            DataError: the state lacks an array, one has another shape or type, or holds a number that no engine would
                have put there; it is of another version, or its boxes are kept in another way (`motion.state`);
                another thread is using the engine.
        """
        with self._alone():
            checked = check_state(self.recipe, read_state(state))
            if self._camera is not None:
                self._load_camera(self._camera, state)
            n = len(checked.tracks)
            buffers = self._room(max(LEAST_ROOM, 2 * n), checked.gallery.shape[2])
            for name in ("counters", "priors"):
                getattr(buffers, name)[:] = getattr(checked, name)
            for name in ("tracks", "gallery", "quality"):
                getattr(buffers, name)[:n] = getattr(checked, name)
            self._use(buffers)

    def continue_ids_at(self, following: int) -> None:
        """Let `following` be the next id.

        Raises:
            DataError: it is none, or not above those of the tracks that there are; another thread is using the engine.
        """
        with self._alone():
            above = int(self._buffers.tracks["id"][: self._count].max(initial=0))
            if not above < following <= LARGEST_ID:
                raise DataError(f"the next id cannot be {following}: expected {above + 1} to 2^52")
            self._buffers.counters["next_id"] = following

    def forget_tracks(self) -> None:
        """Let all tracks go; ids continue where they were.

        Raises:
            DataError: another thread is using the engine.
        """
        with self._alone():
            self._buffers.counters["tracks"] = 0

    def drop_embeddings(self) -> None:
        """Forget what tracks look like; they and their ids stay.

        Raises:
            DataError: another thread is using the engine.
        """
        self.load_state_dict(self.state_dict(embeddings=False))

    def rejoin(self, detections: Detections, now: float, *, embeddings_known: bool) -> float:
        """Prepare restored tracks for the first picture after a pause, at `now` (seconds).

        The pause counts as short, so that no track dies of it. Where embeddings are not known, a track that is surely
        in one of the detections learns its embedding.

        Returns:
            Seconds by which the pause was made shorter.

        Raises:
            DataError: another thread is using the engine.
        """
        if math.isnan(self.seconds):
            return 0.0
        pause = now - self.seconds
        skipped = pause - length_of_pause(pause, self.recipe.death.lost_seconds, known=embeddings_known)
        if skipped:
            self.skip(skipped)
        if not embeddings_known:
            with self._alone():
                self._use(show_embeddings(self._buffers, self._count, detections))
        return skipped

    def _load_camera(self, camera: CameraMotion, state: Mapping[str, NDArray[Any]]) -> None:
        """Have the camera's motion continue; where that cannot be, it is as before."""
        names = [] if "anonymous" in state else [f"camera.{name}" for name in camera.state_dict()]
        missing = [name for name in names if name not in state]
        if missing:
            raise DataError(f"the saved state has no {', '.join(missing)}: it is of another version or recipe")
        if not names:
            camera.reset()
            return
        before = camera.state_dict()
        try:
            camera.load_state_dict({name[7:]: state[name] for name in names})
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            camera.load_state_dict(before)
            raise DataError(f"the saved state's camera motion cannot be read: {error}") from error

    @property
    def _slots(self) -> int:
        """Embeddings a track keeps: its mean and its gallery."""
        return 1 + self.recipe.appearance.gallery_size

    @property
    def _count(self) -> int:
        """Tracks there are."""
        return int(self._buffers.counters["tracks"][0])

    def _room(self, room: int, dimension: int, pairs: int | None = None) -> Buffers:
        """New arrays of this size."""
        kept = (LEAST_PAIRS if self._recording else 0) if pairs is None else pairs
        return make_buffers(room, self._slots, dimension, self._without[1], self._without[0], kept)

    def _use(self, buffers: Buffers) -> None:
        """Work on these, in frames without embeddings and with."""
        self._buffers = buffers
        self._output = buffers.output.view(np.uint8).reshape(len(buffers.output), -1)  # bytes are copied faster
        self._include_lost = None
        self._arrays = tuple(buffers)
        self._arrays_with = tuple(buffers._replace(stages=self._with[0], rules=self._with[1]))

    def _grow(self, room: int, dimension: int, pairs: int | None = None) -> None:
        """Larger arrays, with what there is."""
        old, n = self._buffers, self._count
        new = self._room(max(LEAST_ROOM, room), dimension, len(old.pairs) - 1 if pairs is None else pairs)
        new.counters[:], new.priors[:] = old.counters, old.priors
        new.tracks[:n], new.quality[:n] = old.tracks[:n], old.quality[:n]
        new.gallery[:n, :, : old.gallery.shape[2]] = old.gallery[:n]  # no dimensions until the first embedding comes
        self._use(new._replace(given=old.given))

    def _snapshot(self) -> Buffers:
        """What a frame changes for good, to run it again."""
        b = self._buffers
        changed = ("counters", "priors", "tracks", "gallery", "quality")
        return b._replace(**{name: getattr(b, name).copy() for name in changed})

    def _once_more(self, before: Buffers, pairs: int) -> Buffers:
        """Go back before a frame in which more pairs were compared than there was room to write down."""
        self._use(before)
        self._grow(len(before.tracks), before.gallery.shape[2], 2 * pairs)
        return self._snapshot()

    def _write_down(self, xyxy: Float32, score: Float32) -> None:
        assert self._record is not None
        buffers = self._buffers
        pairs = buffers.pairs[1 : 1 + int(buffers.counters["pairs"][0])].copy()
        self._record.add(self.seconds, pairs, buffers.tracks[: self._count], xyxy, score)

    def _embedding(self, embedding: Float32 | None, count: int) -> Float32:
        """``(N, D)``, for recipes that compare embeddings."""
        if embedding is None:
            if count and self.needs_embedding:
                raise DataError(
                    f"the recipe {self.recipe.name!r} compares appearance, but the detections have no embedding: "
                    "fill them with detections.with_embedding(load_embedder().embed(image, detections.xyxy)), "
                    "or take a recipe that uses motion alone"
                )
            return NO_EMBEDDINGS
        dimension, before = embedding.shape[1], self._buffers.gallery.shape[2]
        if count and before and dimension != before:
            raise DataError(
                f"embeddings have {dimension} dimensions, those before had {before}: an engine takes those of one "
                "embedder; reset() it for another's"
            )
        return _ready(_unit(embedding))

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles.

        Raises:
            DataError: another thread is using the engine.
        """
        with self._alone():
            kept = {name: value for name, value in self.__dict__.items() if name not in ("_guard", "_parts", "_frame")}
            kept["_buffers"] = self._buffers._replace(**{n: a.copy() for n, a in self._buffers._asdict().items()})
            for name in ("_arrays", "_arrays_with", "_output"):
                del kept[name]
            return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has arrays, a guard and a compiled function of its own."""
        self.__dict__.update(state)
        self._prepare()
        self._use(self._buffers)


BUSY = "this engine is at work in another thread: give every thread an engine of its own, or have them take turns"


def _new_record() -> Record:
    from tracker.association.explain import Record  # and with it pyarrow, which costs as much as all the rest of us

    return Record()


def _no_detections(given: object) -> str:
    """What to do about something that is no `Detections`."""
    hint = (
        ": for rows of x1, y1, x2, y2, score, class there is Detections.from_array" if hasattr(given, "shape") else ""
    )
    return f"expected Detections, got {type(given).__name__}{hint}"


def _seconds(timestamp: float) -> float:
    """A timestamp that can be one."""
    try:
        now = float(timestamp)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"frame with timestamp {timestamp!r:.80}: expected seconds") from error
    if not abs(now) <= LATEST:
        hint = ", as nanoseconds or milliseconds may be" if math.isfinite(now) else ""
        raise DataError(f"frame with timestamp {timestamp}: expected finite seconds, at most {LATEST:g} from 0{hint}")
    return now


def _unit(embedding: Float32) -> Float32:
    """Embeddings of unit length, those of no length as they are: it is the same look however long its vector is."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # what is infinite is refused later, by its row
        squared = np.einsum("ij,ij->i", embedding, embedding)
        if not embedding[np.abs(squared - 1) > 0.01].any():
            return embedding
        wide = embedding.astype(np.float64)  # squares of the largest and least of float32 are no numbers of float32
        squared = np.einsum("ij,ij->i", wide, wide)
        off = (np.abs(squared - 1) > 0.01) & (squared > 0)
        length = np.sqrt(np.where(off, squared, 1)).astype(np.float32)
        unit: Float32 = embedding / length[:, None]
    return unit


def _ready(array: NDArray[Any]) -> NDArray[Any]:
    """`array` as the compiled functions know it: contiguous and writeable; copied only where it is not."""
    return array if array.flags.carray else np.array(array, order="C")
