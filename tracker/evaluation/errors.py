"""Errors of identity, as data: who was followed by which track, and where that changed.

Everything here is read off CLEAR's matches, so a switch here is an IDSW there. Three kinds tell one story from three
sides: a *switch* is a moment (an identity goes on under another track), a *split* is an identity that several tracks
shared among them, a *merge* is a track that took several identities for one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracker.evaluation.clear import Matches
from tracker.evaluation.sequence import Int64
from tracker.formats.table import Table

SWITCH, MERGE, SPLIT = "switch", "merge", "split"
KINDS = (SWITCH, MERGE, SPLIT)


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """Times in which an identity and a track were matched with nobody else in between, one row each.

    Attributes:
        identity: ``(S,)`` as the ground truth numbers it.
        track: ``(S,)`` as the tracker numbers it.
        first, last: ``(S,)`` frames of the first and the last match, 1-based.
        boxes: ``(S,)`` matches.
        first_gt, last_gt: ``(S,)`` true boxes of those two, rows of the ground truth.
        first_pred, last_pred: ``(S,)`` the tracker's boxes of those two, rows of the predictions.
    """

    identity: Int64
    track: Int64
    first: Int64
    last: Int64
    boxes: Int64
    first_gt: Int64
    last_gt: Int64
    first_pred: Int64
    last_pred: Int64

    def __len__(self) -> int:
        return len(self.identity)


@dataclass(frozen=True, slots=True, eq=False)
class IdentityError:
    """One switch, merge or split.

    Attributes:
        kind: "switch", "merge" or "split".
        frame: 1-based, in which it shows: the first of the second stretch.
        gap: frames without a match before it.
        stretches: what was followed one after another; a switch has two of an identity, a split all of an identity,
            a merge all of a track.
    """

    kind: str
    frame: int
    gap: int
    stretches: Stretches

    @property
    def identity(self) -> int:
        """Of a switch or a split; of a merge the first."""
        return int(self.stretches.identity[0])

    @property
    def track(self) -> int:
        """Of a merge; of a switch or a split the first."""
        return int(self.stretches.track[0])


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """Who followed an identity when.

    Attributes:
        identity: as the ground truth numbers it.
        present: ``(P, 2)`` first and last frame of each time that it is in the ground truth.
        runs: ``(R, 3)`` first frame, last frame and track of each time that it is matched without a break.
        switches: how often its track changes.
    """

    identity: int
    present: Int64
    runs: Int64
    switches: int = field(default=0)


def identity_errors(gt: Table, pred: Table, matches: Matches) -> list[IdentityError]:
    """All switches, merges and splits of a sequence, in order of frames.

    Args:
        gt: its true boxes, those that count.
        pred: the tracker's.
        matches: of `clear.matches` on the two.
    """
    rows = np.flatnonzero(matches.pred >= 0)
    of_identities = _stretches(gt, pred, matches, rows, by_track=False)
    of_tracks = _stretches(gt, pred, matches, rows, by_track=True)
    changes = np.flatnonzero(np.diff(of_identities.identity) == 0)
    errors = [_error(SWITCH, of_identities, np.arange(i, i + 2)) for i in changes.tolist()]
    for kind, table, owner, others in (
        (SPLIT, of_identities, of_identities.identity, of_identities.track),
        (MERGE, of_tracks, of_tracks.track, of_tracks.identity),
    ):
        mixed = (group for group in _groups(owner) if len(np.unique(others[group])) > 1)
        errors += [_error(kind, table, group) for group in mixed]
    return sorted(errors, key=lambda e: (e.frame, KINDS.index(e.kind), e.identity))


def covers(gt: Table, pred: Table, matches: Matches) -> list[Cover]:
    """For every identity who followed it when, identities in ascending order.

    Args:
        gt: true boxes, those that count.
        pred: the tracker's.
        matches: of `clear.matches` on the two.
    """
    order = np.lexsort((gt.frame, gt.id))
    hit = order[matches.pred[order] >= 0]
    track = pred.id[matches.pred[hit]]
    present = _pieces(gt.id[order], gt.frame[order])
    runs = _pieces(gt.id[hit], gt.frame[hit], track)
    start, end = _bounds(gt.frame[order], present)
    run_start, run_end = _bounds(gt.frame[hit], runs)
    runs_of, present_of = gt.id[hit][runs[:-1]], gt.id[order][present[:-1]]
    table = np.column_stack([run_start, run_end, track[runs[:-1]]]).reshape(-1, 3)
    times = np.column_stack([start, end]).reshape(-1, 2)
    switched = gt.id[matches.switch]
    found = []
    for identity in np.unique(gt.id).tolist():
        mine, there = runs_of == identity, present_of == identity
        found.append(Cover(identity, times[there], table[mine], int((switched == identity).sum())))
    return found


def _stretches(gt: Table, pred: Table, matches: Matches, rows: Int64, *, by_track: bool) -> Stretches:
    """Matches in order of identities (or of tracks) and frames, cut where the other side changes."""
    identity, track, frame = gt.id[rows], pred.id[matches.pred[rows]], gt.frame[rows] + 1
    order = np.lexsort((frame, track if by_track else identity))
    rows, identity, track, frame = rows[order], identity[order], track[order], frame[order]
    cuts = _cuts((np.diff(identity) != 0) | (np.diff(track) != 0), len(rows))
    a, b = cuts[:-1], cuts[1:] - 1
    return Stretches(
        identity[a], track[a], frame[a], frame[b], b - a + 1, rows[a], rows[b],
        matches.pred[rows[a]], matches.pred[rows[b]],
    )  # fmt: skip


def _error(kind: str, table: Stretches, rows: Int64) -> IdentityError:
    part = Stretches(*(getattr(table, name)[rows] for name in Stretches.__slots__))
    return IdentityError(kind, int(part.first[1]), int(part.first[1] - part.last[0] - 1), part)


def _groups(owner: Int64) -> list[Int64]:
    """Rows of each owner; those of one stand together."""
    cuts = _cuts(np.diff(owner) != 0, len(owner))
    return [np.arange(a, b) for a, b in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]


def _cuts(change: NDArray[np.bool_], length: int) -> Int64:
    """Where pieces begin, and the end of the last; none of nothing."""
    inner = np.flatnonzero(change) + 1
    return np.concatenate([[0], inner, [length]]).astype(np.int64) if length else np.zeros(1, np.int64)


def _pieces(identity: Int64, frame: Int64, track: Int64 | None = None) -> Int64:
    """Where a row is not the frame after the row before, of the same identity and track."""
    change = (np.diff(identity) != 0) | (np.diff(frame) != 1)
    if track is not None:
        change |= np.diff(track) != 0
    return _cuts(change, len(frame))


def _bounds(frame: Int64, cuts: Int64) -> tuple[Int64, Int64]:
    """The first and the last frame of each piece, 1-based."""
    return frame[cuts[:-1]] + 1, frame[cuts[1:] - 1] + 1
