"""The one engine that runs every recipe: predict, associate stage by stage, update, give birth, bury."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tracker.association import costs
from tracker.association.assignment import NOTHING, assign
from tracker.association.recipe import Recipe, Stage
from tracker.association.table import TrackTable
from tracker.errors import DataError
from tracker.motion.kalman import BoxKalman
from tracker.types import Detections, Tracks, TrackState

Float64 = NDArray[np.float64]
STATES = {name.lower(): int(state) for name, state in TrackState.__members__.items()}
NO_PAIR = np.inf
REACH_SLACK = 0.5
"""Heights that an object may be off at once, before `reach` allows it to move."""


class Engine:
    """Gives detections their ids, one frame at a time.

    The same input gives the same output, always; two engines share nothing.

    Args:
        recipe: what to do.

    Attributes:
        needs_image: `update` wants the frame's picture.
        needs_embedding: detections must have embeddings.
        embedding_score: those with a lower score may have zeros instead.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.needs_image = False
        self.needs_embedding = recipe.needs_embedding
        self.embedding_score = recipe.embedding_score
        motion = recipe.motion
        self._filter = BoxKalman(
            motion.state, position_noise=motion.position_noise, velocity_noise=motion.velocity_noise
        )
        self.reset()

    def reset(self) -> None:
        """Forget everything; ids begin at 1 again."""
        self._table = TrackTable.empty()
        self._next_id = 1
        self._now: float | None = None
        self._before: float | None = None

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
            include_lost: also return tracks out of sight, at their predicted boxes, `detection` -1.

        Returns:
            Confirmed tracks that were matched in this frame, by id.

        Raises:
            DataError: a row with NaN, negative size or a score outside 0–1; a frame out of order; no
                embeddings for a recipe that compares them.
        """
        detections.validate()
        self._check_embedding(detections)
        first = self._now is None
        self._step_to(timestamp)
        matched = self._associate(detections)
        self._learn(detections, matched)
        matched = self._bury(matched)
        matched = self._give_birth(detections, matched, first)
        return self._report(detections, matched, include_lost)

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Everything that the next frame depends on, as plain arrays for `np.savez`."""
        clock = np.array([np.nan if self._now is None else self._now])
        return {"next_id": np.array([self._next_id]), "now": clock} | {
            f"table.{name}": column.copy() for name, column in self._table.arrays().items()
        }

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> None:
        """Continue, to the bit, where `state_dict` was taken.

        Raises:
            DataError: the state lacks an array, as one of another version would.
        """
        names = TrackTable.empty().arrays()
        missing = [n for n in ("next_id", "now", *(f"table.{n}" for n in names)) if n not in state]
        if missing:
            raise DataError(f"the saved state has no {', '.join(missing)}: it is of another version")
        now = float(state["now"][0])
        self._now = None if np.isnan(now) else now
        self._next_id = int(state["next_id"][0])
        self._table = TrackTable.from_arrays({name: state[f"table.{name}"] for name in names})

    def _check_embedding(self, detections: Detections) -> None:
        if not self.needs_embedding or not len(detections):
            return
        if detections.embedding is None:
            raise DataError(
                f"the recipe {self.recipe.name!r} compares appearance, but the detections have no embedding: "
                "fill them with detections.with_embedding(load_embedder().embed(image, detections.xyxy)), "
                "or take a recipe that uses motion alone"
            )
        dimension = detections.embedding.shape[1]
        if len(self._table) and self._table.embedding.shape[1] != dimension:
            raise DataError(
                f"embeddings have {dimension} dimensions, those before had {self._table.embedding.shape[1]}"
            )

    def _step_to(self, timestamp: float | None) -> None:
        """Move the clock and every track to the new frame's time."""
        before = self._before = self._now
        nominal = 1 / self.recipe.frame_rate
        if timestamp is None:
            timestamp = 0.0 if before is None else before + nominal
        if not np.isfinite(timestamp):
            raise DataError(f"frame with timestamp {timestamp}: expected finite seconds")
        if before is not None and timestamp <= before:
            raise DataError(f"frame out of order: timestamp {timestamp} s after {before} s")
        self._now = float(timestamp)
        table = self._table
        if before is None or not len(table):
            return
        elapsed = self._now - before
        unseen = table.state == TrackState.LOST
        velocity = table.beliefs.velocity
        if self.recipe.motion.state != "xysr":  # the size of what is out of sight stays as it was
            velocity[np.ix_(unseen, [2, 3] if self.recipe.motion.state == "xywh" else [3])] = 0.0
        if self.recipe.motion.coast_seconds is not None:
            velocity[unseen] *= np.exp(-elapsed / self.recipe.motion.coast_seconds)
        self._filter.predict(table.beliefs, elapsed / nominal)

    def _associate(self, detections: Detections) -> NDArray[np.intp]:
        """The detection of every track, -1 for none."""
        table = self._table
        matched = np.full(len(table), -1, np.intp)
        if not len(table) or not len(detections):
            return matched
        predicted = self._filter.boxes(table.beliefs)
        free = np.ones(len(detections), bool)
        for stage in self.recipe.stages:
            low, high = stage.detections.score
            band = (detections.score >= low) & ((detections.score < high) | (high >= 1.0))
            columns = np.flatnonzero(free & band)
            wanted = np.isin(table.state, [STATES[name] for name in stage.tracks]) & (matched < 0)
            if stage.seen_within is not None:
                wanted &= self._age() <= stage.seen_within
            rows = np.flatnonzero(wanted)
            if not len(rows) or not len(columns):
                continue
            cost = self._cost(stage, rows, detections, columns, predicted)
            pair_rows, pair_columns = self._assign(stage, cost, rows)
            matched[rows[pair_rows]] = columns[pair_columns]
            free[columns[pair_columns]] = False
        return matched

    def _age(self) -> Float64:
        """Seconds since every track was last matched."""
        assert self._now is not None
        return self._now - self._table.seen

    def _assign(self, stage: Stage, cost: Float64, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if not stage.by_age:
            return assign(cost, stage.gate)
        seen = self._table.seen[rows]
        free = np.ones(cost.shape[1], bool)
        found_rows, found_columns = [NOTHING], [NOTHING]
        for moment in np.unique(seen)[::-1]:
            r, c = np.flatnonzero(seen == moment), np.flatnonzero(free)
            pair_rows, pair_columns = assign(cost[np.ix_(r, c)], stage.gate)
            found_rows.append(r[pair_rows])
            found_columns.append(c[pair_columns])
            free[c[pair_columns]] = False
        return np.concatenate(found_rows), np.concatenate(found_columns)

    def _cost(
        self,
        stage: Stage,
        rows: NDArray[np.intp],
        detections: Detections,
        columns: NDArray[np.intp],
        predicted: Float64,
    ) -> Float64:
        """Cost of every pair of a stage; infinite where a gate forbids it."""
        table = self._table
        boxes, found = predicted[rows], detections.xyxy[columns]
        overlap = costs.iou(boxes, found)
        by_motion = 1.0 - overlap
        if stage.cost == "iou_times_score" or stage.times_score:
            by_motion = 1.0 - overlap * detections.score[columns]
        forbidden = np.zeros(overlap.shape, bool)
        cost = by_motion
        if stage.needs_embedding:
            assert detections.embedding is not None
            look = costs.cosine(table.embedding[rows], detections.embedding[columns]) / 2
            unlike = look > (1.0 if stage.appearance_gate is None else stage.appearance_gate)
            if stage.cost == "least":
                far = overlap < (stage.least_overlap or 0.0)
                cost = np.minimum(by_motion, np.where(unlike | far, 1.0, look))
            else:
                forbidden |= unlike
                if stage.cost == "embedding":
                    cost = look
                elif stage.cost == "fused":
                    cost = (1 - stage.weight) * by_motion + stage.weight * look
        if stage.least_overlap is not None and stage.cost != "least":
            forbidden |= overlap < stage.least_overlap
        if not self.recipe.class_agnostic:
            forbidden |= table.class_id[rows][:, None] != detections.class_id[columns][None]
        forbidden |= self._unreachable(stage, rows, boxes, found)
        return np.where(forbidden, NO_PAIR, cost)

    def _unreachable(
        self, stage: Stage, rows: NDArray[np.intp], boxes: Float64, found: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """Pairs that the stage's gates on motion and size forbid."""
        forbidden = np.zeros((len(boxes), len(found)), bool)
        if stage.mahalanobis_gate is not None:
            beliefs = self._table.beliefs[rows]
            squared = self._filter.squared_mahalanobis(beliefs, self._filter.measure(found))
            forbidden |= squared > stage.mahalanobis_gate
        if stage.reach is not None:
            allowed = REACH_SLACK + stage.reach * self._age()[rows]
            forbidden |= costs.distance_in_heights(boxes, found) > allowed[:, None]
        if stage.size_ratio is not None:
            forbidden |= costs.height_ratio(boxes, found) < stage.size_ratio
        return forbidden

    def _learn(self, detections: Detections, matched: NDArray[np.intp]) -> None:
        """Update matched tracks, and their states."""
        table = self._table
        rows = np.flatnonzero(matched >= 0)
        if len(rows):
            assert self._now is not None
            columns = matched[rows]
            scale = np.ones((1, 1))
            if self.recipe.motion.noise_by_score:
                scale = 1.0 - detections.score[columns, None].astype(np.float64)
            measured = self._filter.measure(detections.xyxy[columns])
            table.beliefs[rows] = self._filter.update(table.beliefs[rows], measured, scale)
            table.hits[rows] += 1
            table.seen[rows] = self._now
            table.score[rows] = detections.score[columns]
            table.box[rows] = detections.xyxy[columns]
            self._learn_appearance(detections, rows, columns)
        confirmed = (matched >= 0) & (
            (table.state != TrackState.TENTATIVE) | (table.hits >= self.recipe.birth.confirm_hits)
        )
        self._confirm(confirmed)
        table.state[(matched < 0) & (table.state == TrackState.CONFIRMED)] = TrackState.LOST

    def _learn_appearance(self, detections: Detections, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
        if not self.needs_embedding or detections.embedding is None:
            return
        look = self.recipe.appearance
        good = detections.score[columns] >= look.score
        if look.overlap < 1.0:
            good &= _hidden(detections.xyxy)[columns] <= look.overlap
        table = self._table
        known = (table.embedding[rows] != 0).any(1)
        good |= ~known  # anything is better than nothing
        mean = np.where(known, look.momentum, 0.0)[:, None] * table.embedding[rows]
        mean += np.where(known, 1 - look.momentum, 1.0)[:, None] * detections.embedding[columns]
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
        table.embedding[rows[good]] = mean[good]

    def _confirm(self, rows: NDArray[np.bool_]) -> None:
        """Confirmed and seen; those without an id get one now, so that none is spent on a false start."""
        table = self._table
        table.state[rows] = TrackState.CONFIRMED
        nameless = np.flatnonzero(rows & (table.id == 0))
        table.id[nameless] = np.arange(self._next_id, self._next_id + len(nameless))
        self._next_id += len(nameless)

    def _bury(self, matched: NDArray[np.intp]) -> NDArray[np.intp]:
        """Drop tentative tracks that missed, tracks too long out of sight, and lost doubles of seen ones."""
        table = self._table
        if not len(table):
            return matched
        dead = (table.state == TrackState.TENTATIVE) & (matched < 0)
        lost = table.state == TrackState.LOST
        # Seen in the last frame: it has at least this one to come back in, however slow the camera.
        had_a_chance = table.seen < (self._before or 0.0)
        dead |= lost & had_a_chance & (self._age() > self.recipe.death.lost_seconds + 1e-6)
        if self.recipe.death.duplicate_overlap < 1.0 and lost.any():
            boxes = self._filter.boxes(table.beliefs)
            seen = matched >= 0
            overlap = costs.iou(boxes[lost], boxes[seen]).max(1, initial=0.0)
            dead[np.flatnonzero(lost)[overlap > self.recipe.death.duplicate_overlap]] = True
        if dead.any():
            self._table = table.keep(~dead)
            matched = matched[~dead]
        return matched

    def _give_birth(self, detections: Detections, matched: NDArray[np.intp], first: bool) -> NDArray[np.intp]:
        """Begin tracks on the detections that nobody took."""
        assert self._now is not None
        birth = self.recipe.birth
        free = detections.score >= birth.score
        free[matched[matched >= 0]] = False
        if birth.overlap < 1.0 and free.any():
            taken = detections.xyxy[matched[matched >= 0]]
            free &= costs.iou(detections.xyxy, taken).max(1, initial=0.0) <= birth.overlap
        rows = np.flatnonzero(free)
        if not len(rows):
            return matched
        if self.needs_embedding and detections.embedding is not None:
            embedding = detections.embedding[rows]
        else:
            embedding = np.empty((len(rows), 0), np.float32)
        newborn = TrackTable.born(
            self._filter.initiate(self._filter.measure(detections.xyxy[rows])),
            detections.xyxy[rows],
            detections.score[rows],
            detections.class_id[rows],
            embedding,
            self._now,
        )
        self._table = self._table.joined(newborn) if len(self._table) else newborn
        matched = np.concatenate([matched, rows])
        if birth.confirm_hits == 1 or (first and birth.at_once_in_first_frame):
            fresh = np.arange(len(matched)) >= len(matched) - len(rows)
            self._confirm(fresh)
        return matched

    def _report(self, detections: Detections, matched: NDArray[np.intp], include_lost: bool) -> Tracks:
        table = self._table
        shown = (table.state == TrackState.CONFIRMED) & (matched >= 0)
        if include_lost:
            shown |= table.state == TrackState.LOST
        rows = np.flatnonzero(shown)
        rows = rows[np.argsort(table.id[rows])]
        boxes = self._filter.boxes(table.beliefs[rows]).astype(np.float32)
        columns = matched[rows]
        if self.recipe.box == "detection":
            seen = columns >= 0
            boxes[seen] = detections.xyxy[columns[seen]]
        return Tracks.unchecked(
            table.id[rows],
            boxes,
            table.score[rows],
            table.class_id[rows],
            columns.astype(np.int64),
            table.state[rows],
        )


def _hidden(boxes: NDArray[np.float32]) -> Float64:
    """How much of every box others in front of it (lower in the picture) cover, in 0–1."""
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    covered = np.clip(high - low, 0, None).prod(2) / area[:, None]
    in_front = boxes[None, :, 3] > boxes[:, None, 3]
    return np.asarray(np.where(in_front, covered, 0.0).max(1, initial=0.0), np.float64)
