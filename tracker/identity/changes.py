"""What a review changes, as a log that others can follow."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tracker.identity.decision import SURE
from tracker.identity.review import Found, Nodes
from tracker.identity.table import NONE, Table
from tracker.identity.tracklet import Key

Int64 = NDArray[np.int64]
Kind = Literal["given", "merged", "split", "opened", "forgotten"]


@dataclass(frozen=True, slots=True)
class Change:
    """Tracklets that got another identity.

    Attributes:
        number: ascending, from 1; none is used twice.
        time: of the stream, seconds.
        kind: `given`: they had none. `merged`: the identity they had is no more. `split`: others keep it. `opened`:
            they have none any more. `forgotten`: neither they nor their identity are remembered.
        source: what they had, or None.
        target: what they have, or None.
        tracklets: cameras and tracks.
    """

    number: int
    time: float
    kind: Kind
    source: int | None
    target: int | None
    tracklets: tuple[Key, ...]


def new_identities(table: Table, found: Found, next_identity: int) -> Int64:
    """``(N,)`` which identity each node of a review has from now on.

    A cluster keeps the identity that most of its tracklets have, the oldest of equals; an identity that two clusters
    would keep stays with the one that has more of it. A cluster of tracklets that have none gets a new one where it is
    sure, as in `decision`, that it is no other cluster; else it stays open.

    Args:
        table: of all tracklets.
        found: of the review.
        next_identity: the first that nobody has had.
    """
    label, clusters = found.linked.label, len(found.linked.similarity)
    old = table.rows["identity"][found.nodes.rows]
    votes: dict[tuple[int, int], float] = defaultdict(float)
    for cluster, identity, weight in zip(label.tolist(), old.tolist(), found.nodes.weight.tolist(), strict=True):
        if identity != NONE:
            votes[cluster, identity] += weight
    chosen = np.full(clusters, NONE, np.int64)
    taken = set()
    for (cluster, identity), _ in sorted(votes.items(), key=lambda item: (-item[1], item[0][1], item[0][0])):
        if chosen[cluster] == NONE and identity not in taken:
            chosen[cluster] = identity
            taken.add(identity)
    voted = {cluster for cluster, _ in votes}
    odds = np.exp(np.minimum(found.linked.similarity - found.bar, 60)).sum(1)
    for cluster in range(clusters):
        if chosen[cluster] == NONE and (cluster in voted or 1 / (1 + odds[cluster]) >= SURE):
            chosen[cluster] = next_identity
            next_identity += 1
    return chosen[label]


def apply(table: Table, retired: Table, nodes: Nodes, new: Int64, time: float, number: int) -> list[Change]:
    """Write identities into the tables, and tell what changed.

    What a review did not look at goes along with the tracklets that stood for it.

    Args:
        table: of all tracklets that are compared; changed.
        retired: of those of which only is known who was where; changed.
        nodes: N of them, which were looked at.
        new: ``(N,)`` their identities.
        time: of the stream.
        number: of the first change.
    """
    before = np.concatenate([table.rows["identity"], retired.rows["identity"]])
    after = before.copy()
    after[nodes.rows] = new
    unseen = np.ones(len(after), bool)
    unseen[nodes.rows] = False
    _take_along(after, before, unseen, nodes.group, new)
    table.rows["identity"][:], retired.rows["identity"][:] = after[: len(table)], after[len(table) :]
    left = set(after.tolist())
    moved: dict[tuple[int, int], list[Key]] = defaultdict(list)
    for row in np.flatnonzero(after != before).tolist():
        tracklet = table.tracklet(row) if row < len(table) else retired.tracklet(row - len(table))
        moved[int(before[row]), int(after[row])].append(tracklet.key)
    return [
        Change(number + i, time, _kind(source, target, left), source or None, target or None, tuple(sorted(keys)))
        for i, ((source, target), keys) in enumerate(sorted(moved.items()))
    ]


def _kind(source: int, target: int, left: set[int]) -> Kind:
    """What becomes of tracklets that had the one and have the other, when these identities are left."""
    if source == NONE:
        return "given"
    if target == NONE:
        return "opened"
    return "split" if source in left else "merged"


def _take_along(after: Int64, before: Int64, unseen: NDArray[np.bool_], group: Int64, new: Int64) -> None:
    """What was not looked at goes where the earlier tracklets of its identity went, which stood for it."""
    standing = np.flatnonzero(group > NONE)
    known, first = np.unique(group[standing], return_index=True)
    for source, target in zip(known.tolist(), new[standing[first]].tolist(), strict=True):
        after[unseen & (before == source)] = target
