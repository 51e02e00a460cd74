"""What the page shows, as plain values for JSON: numbers, curves, identities over time, errors with their views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tracker.evaluation import bootstrap
from tracker.evaluation.clear import matches
from tracker.evaluation.errors import MERGE, SWITCH, Cover, IdentityError, covers, identity_errors
from tracker.evaluation.evaluate import COMBINED, PreparedSequence, Scores
from tracker.evaluation.hota import THRESHOLDS
from tracker.evaluation.report.costs import Record, find_record
from tracker.evaluation.report.views import Pictures, View, by_importance, views_of

CURVES = ("HOTA", "DetA", "AssA", "LocA")
MOST_ERRORS = 4000
"""Of one tracker, in the gallery."""
MOST_STRETCHES = 40
"""Of one error, in words."""


@dataclass(slots=True, eq=False)
class Part:
    """One tracker on one sequence.

    Attributes:
        errors: in order of frames.
        views: of each error.
        costs: of each error, where the run was recorded.
        covers: by identity.
        recorded: whether the run was.
    """

    errors: list[IdentityError]
    views: list[list[View]]
    costs: list[list[dict[str, Any]]]
    covers: list[Cover]
    recorded: bool

    @classmethod
    def of(cls, prepared: PreparedSequence, pred: Path) -> Part:
        """Everything about predictions that are ready to be scored."""
        found = matches(prepared.sequence)
        errors = identity_errors(prepared.gt, prepared.pred, found)
        path = find_record(pred)
        record = Record(path) if path else None
        return cls(
            errors,
            [views_of(prepared, error) for error in errors],
            [_costs(record, error) for error in errors],
            covers(prepared.gt, prepared.pred, found),
            record is not None,
        )

    def by_importance(self) -> list[View]:
        """Views in the order in which they deserve a picture."""
        return [view for i in by_importance(self.errors) for view in self.views[i]]


def _costs(record: Record | None, error: IdentityError) -> list[dict[str, Any]]:
    if record is None or error.kind != SWITCH:
        return []
    s = error.stretches
    return record.of_switch(error.frame, int(s.track[0]), int(s.track[1]), int(s.last[0]))


def numbers_of(scores: Mapping[str, Scores]) -> dict[str, Any]:
    """Every number, and the curves, by sequence."""
    return {
        name: {
            "full": {metric: _short(value) for metric, value in score.full().items()},
            "curves": {metric: [_short(v) for v in getattr(score.hota, metric).tolist()] for metric in CURVES},
        }
        for name, score in scores.items()
    }


def differences_of(a: Mapping[str, Scores], b: Mapping[str, Scores]) -> dict[str, Any]:
    """B less A over all sequences, with intervals and what they mean."""
    sequences = len(a) - (COMBINED in a)
    return {
        metric: {
            "low": _short(interval.low) if interval.low == interval.low else None,
            "high": _short(interval.high) if interval.high == interval.high else None,
            "verdict": bootstrap.verdict(metric, interval, sequences),
        }
        for metric, interval in bootstrap.differences(a, b).items()
    }


def thresholds() -> list[float]:
    """Of the curves."""
    return [round(float(t), 2) for t in THRESHOLDS]


def identities_of(parts: list[Part]) -> list[dict[str, Any]]:
    """Each identity's times in the ground truth, and for each tracker who followed it when."""
    found: dict[int, dict[str, Any]] = {}
    for part in parts:
        for cover in part.covers:
            row = found.setdefault(cover.identity, {"id": cover.identity, "present": cover.present.tolist(), "by": []})
            row["by"].append({"runs": cover.runs.tolist(), "switches": cover.switches})
    return list(found.values())


def errors_of(name: str, part: Part, pictures: Pictures, most: int) -> list[dict[str, Any]]:
    """The most important errors, in order of frames."""
    order = by_importance(part.errors)[:most]
    return [
        _error(part.errors[i]) | {"views": [_view(name, v, pictures) for v in part.views[i]]} | _some(part.costs[i])
        for i in sorted(order)
    ]


def _some(costs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"costs": costs} if costs else {}


def _error(error: IdentityError) -> dict[str, Any]:
    s = error.stretches
    changing = s.identity if error.kind == MERGE else s.track
    rows = np.column_stack([changing, s.first, s.last, s.boxes])[:MOST_STRETCHES].tolist()
    fixed = {"track": error.track} if error.kind == MERGE else {"identity": error.identity}
    several = len(np.unique(changing))
    return {
        "kind": error.kind, "frame": error.frame, "gap": error.gap, "several": several, "pieces": len(s),
        "stretches": rows,
    } | fixed  # fmt: skip


def _view(name: str, view: View, pictures: Pictures) -> dict[str, Any]:
    shown: dict[str, Any] = {"frame": view.frame, "size": view.window[2:], "boxes": view.boxes}
    picture = pictures.of(name, view)
    return shown | ({"picture": picture} if picture else {})


def _short(value: float) -> float | int:
    """Six places are more than anybody reads."""
    return round(value, 6) if isinstance(value, float) else value
