"""Who is who, judged anew over many tracklets at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracker.identity.evidence import Evidence, Views, learn_travel, simultaneous
from tracker.identity.linkage import Linked, average_linkage
from tracker.identity.prior import learned_odds, stated_odds
from tracker.identity.table import NONE, Table
from tracker.identity.travel import TravelTimes

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

ROUNDS = 3
"""How often travel times and prior odds are learnt from clusters, and clusters made by them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds the work of a review.

    Attributes:
        recent: tracklets, the last ones, each of which may change its identity.
        earlier: tracklets that stand for identities' earlier ones, which stay together.
        each: of them, how many of one identity.
        last: tracklets of settled identities that may still change.
    """

    recent: int = 1500
    earlier: int = 500
    each: int = 4
    last: int = 8


class Nodes(NamedTuple):
    """What a review works on.

    Attributes:
        rows: ``(N,)`` of the table.
        group: ``(N,)`` rows of one number stay one; negative numbers are of recent tracklets, the others identities.
        weight: ``(N,)`` how many tracklets each stands for.
    """

    rows: Int64
    group: Int64
    weight: Float64


class Found(NamedTuple):
    """What a review says.

    Attributes:
        nodes: what it was about.
        linked: clusters of them.
        travel: times that were learnt.
        bar: what evidence for a union must reach: the prior odds against it.
    """

    nodes: Nodes
    linked: Linked
    travel: TravelTimes
    bar: float


def select(table: Table, rows: Int64, settled: Int64, limits: Limits) -> Nodes:
    """The tracklets that a review looks at: the last ones, and a few of each identity's earlier ones.

    Args:
        table: of all.
        rows: those of the classes that are compared.
        settled: ``(S,)`` identities of which only the last few tracklets may still change.
        limits: of the work.
    """
    order = rows[np.lexsort((table.rows["begin"][rows], table.rows["end"][rows]))][::-1]  # the last first
    identity = table.rows["identity"][order]
    nth, count = _nth(identity)
    earlier = np.arange(len(order)) >= limits.recent
    earlier |= np.isin(identity, settled) & (nth >= np.minimum(limits.last, count - 1))
    recent, old = order[~earlier], order[earlier & (identity != NONE)]
    identity = table.rows["identity"][old]
    nth, count = _nth(identity)
    some = np.flatnonzero(nth < limits.each)
    some = some[np.argsort(nth[some], kind="stable")][: limits.earlier]  # one of each first
    # Of identities that are too many to look at, all stays as it is.
    untouched = np.setdiff1d(identity, identity[some])
    recent = recent[~np.isin(table.rows["identity"][recent], untouched)][::-1]
    _, inverse, chosen = np.unique(identity[some], return_inverse=True, return_counts=True)
    return Nodes(
        np.concatenate([recent, old[some]]),
        np.concatenate([-1 - np.arange(len(recent)), identity[some]]),
        np.concatenate([np.ones(len(recent)), count[some] / chosen[inverse]]),
    )


def _nth(values: Int64) -> tuple[Int64, Int64]:
    """Of each, how many of its like are before it, and how many there are in all."""
    order = np.argsort(values, kind="stable")
    place, count = np.empty((2, len(values)), np.int64)
    first = np.searchsorted(values[order], values[order])
    place[order] = np.arange(len(values)) - first
    count[order] = np.searchsorted(values[order], values[order], "right") - first
    return place, count


def history(table: Table, retired: Table, nodes: Nodes, views: Views) -> tuple[Int64, Int64]:
    """Pairs of nodes that cannot be one because of what their identities did before, which no node shows."""
    first = {group: node for node, group in reversed(list(enumerate(nodes.group.tolist())))}
    identity = np.concatenate([table.rows["identity"], retired.rows["identity"]])
    earlier = np.array([first.get(i, -1) for i in identity.tolist()], np.int64)
    earlier[nodes.rows] = np.arange(len(nodes.rows))
    begin, end, camera = (np.concatenate([table.rows[c], retired.rows[c]]) for c in ("begin", "end", "camera"))
    i, j = simultaneous(begin, end, camera, views)
    pairs = earlier[i], earlier[j]
    both = (pairs[0] >= 0) & (pairs[1] >= 0)
    return pairs[0][both], pairs[1][both]


def judge(table: Table, retired: Table, nodes: Nodes, evidence: Evidence) -> Found:
    """Cluster tracklets by constrained average linkage over the whole evidence.

    What the site teaches, travel times and how many return at all, is learnt from the clusters and changes them in
    turn. A few rounds are enough.

    Args:
        table: of all that are compared.
        retired: those of which only is known who was where.
        nodes: which.
        evidence: what counts.
    """
    rows = nodes.rows
    forbidden = evidence.forbidden(table, rows, rows)
    i, j = history(table, retired, nodes, evidence.views)
    forbidden[i, j] = forbidden[j, i] = True
    looks, place, _ = replace(evidence, travel=TravelTimes.unknown()).terms(table, rows, rows)
    fixed, travel = looks + place, evidence.travel
    compared = np.triu(~forbidden & (nodes.group[:, None] != nodes.group[None]), 1)
    for _ in range(ROUNDS):
        total = fixed + replace(evidence, travel=travel).travel_term(table, rows, rows)
        bar = -learned_odds(total[compared], len(rows)) if len(rows) > 1 else -stated_odds(len(rows))
        linked = average_linkage(total, forbidden, bar=bar, groups=nodes.group, weight=nodes.weight)
        travel = learn_travel(table, rows, linked.label)
    return Found(nodes, linked, travel, bar)
