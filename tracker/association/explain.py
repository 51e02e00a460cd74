"""Why a pair was made or refused, a track ended, another began: kept as a table, answered in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracker.association import layout as at
from tracker.association.recipe import Recipe
from tracker.errors import DataError

Float64 = NDArray[np.float64]
Row = dict[str, Any]
"""Of the record, by column."""

TERMS = {
    "term_overlap": at.E_OVERLAP, "term_motion": at.E_MOTION, "term_look": at.E_LOOK,
    "term_direction": at.E_DIRECTION, "term_score_change": at.E_SCORE_CHANGE,
    "term_mahalanobis": at.E_MAHALANOBIS, "term_distance": at.E_DISTANCE,
}  # fmt: skip
"""Overlap 0–1; cost of motion; half cosine distance; angle × score; score off its course; squared distance by
motion; distance in heights. NaN where the stage did not ask."""

BIRTH, REUNION = "birth", "reunion"


class Record:
    """What the engine thought, frame by frame, until it is taken."""

    def __init__(self) -> None:
        self._frame = 0
        self._born = 0
        self._living: set[int] = set()
        self._ids: dict[int, int] = {}
        self._rows: list[Float64] = []
        self._head: list[Float64] = []

    def add(
        self, now: float, pairs: Float64, table: Float64, xyxy: NDArray[np.float32], score: NDArray[np.float32]
    ) -> None:
        """One frame.

        Args:
            now: its timestamp.
            pairs: ``(P, E_WIDTH)``, in whose `E_ROW` the serial of each track stands.
            table: ``(M, WIDTH)`` after the frame.
            xyxy: ``(N, 4)`` of its detections, with their `score`.
        """
        ids = dict(zip(table[:, at.SERIAL].astype(int).tolist(), table[:, at.ID].astype(int).tolist(), strict=True))
        self._ids |= ids
        self._living = set(ids)
        new = table[table[:, at.SERIAL] >= self._born]
        self._born = max(self._born, int(table[:, at.SERIAL].max(initial=-1)) + 1)
        births = np.full((len(new), at.E_WIDTH), np.nan)
        births[:, at.E_STAGE], births[:, at.E_ROW] = -1, new[:, at.SERIAL]
        births[:, at.E_VERDICT] = at.MATCHED
        same = (new[:, None, at.BOX : at.BOX + 4] == xyxy[None]).all(2)
        births[:, at.E_DETECTION] = same.argmax(1) if len(new) else 0
        rows = np.concatenate([pairs, births])
        of = rows[:, at.E_DETECTION].astype(int)
        self._rows.append(rows)
        head = [np.full(len(rows), self._frame), np.full(len(rows), now), *xyxy[of].T, score[of]]
        self._head.append(np.column_stack(head).reshape(len(rows), 7))
        self._frame += 1

    def take(self, recipe: Recipe) -> pa.Table:
        """All rows since the last time, oldest first; they are forgotten here.

        Columns: `frame` (0-based, counted since the engine began), `timestamp`, `stage`, `serial` (of every track,
        also of those without an id), `track_id` (0 where it never got one), `detection`, `x1 … y2` and `score` of the
        detection, `cost`, `gate`, `verdict`, `matched`, and the terms of the cost.
        """
        rows = np.concatenate([np.empty((0, at.E_WIDTH)), *self._rows])
        head = np.concatenate([np.empty((0, 7)), *self._head])
        self._rows, self._head = [], []
        names = np.array([BIRTH] + [f"{i}: {stage.cost}" for i, stage in enumerate(recipe.stages, 1)] + [REUNION])
        serial = rows[:, at.E_ROW].astype(np.int64)
        verdict = rows[:, at.E_VERDICT].astype(int)
        ids = np.array([self._ids.get(s, 0) for s in serial.tolist()], np.int64)
        self._ids = {s: i for s, i in self._ids.items() if s in self._living}
        columns = {
            "frame": head[:, 0].astype(np.int64),
            "timestamp": head[:, 1],
            "stage": names[rows[:, at.E_STAGE].astype(int) + 1],
            "serial": serial,
            "track_id": ids,
            "detection": rows[:, at.E_DETECTION].astype(np.int64),
            "x1": head[:, 2], "y1": head[:, 3], "x2": head[:, 4], "y2": head[:, 5],
            "score": head[:, 6],
            "cost": rows[:, at.E_COST],
            "gate": rows[:, at.E_GATE],
            "verdict": np.array(at.VERDICTS)[verdict],
            "matched": verdict == at.MATCHED,
        }  # fmt: skip
        return pa.table(columns | {name: rows[:, column] for name, column in TERMS.items()})


def why(table: pa.Table, *, ended: int | None = None, began: int | None = None) -> str:
    """Why a track ended, and why another began instead, in words.

    Args:
        table: of `Engine.take_record`, whole.
        ended: id of a track that was lost.
        began: id of a track that began.

    Raises:
        DataError: no such track in the table.
    """
    parts = []
    if ended is not None:
        parts.append(_why_ended(table, ended))
    if began is not None:
        parts.append(_why_began(table, began))
    return "\n".join(parts)


def _of(table: pa.Table, **wanted: object) -> pa.Table:
    for name, value in wanted.items():
        table = table.filter(pc.equal(table[name], value))
    return table


def _serial(table: pa.Table, track_id: int) -> int:
    rows = _of(table, track_id=track_id)
    if not len(rows):
        known = [i for i in pc.unique(table["track_id"]).to_pylist() if i]
        raise DataError(
            f"no track {track_id} in the record; it has ids {min(known, default=0)}–{max(known, default=0)}"
        )
    return int(rows["serial"][0].as_py())


def _why_ended(table: pa.Table, track_id: int) -> str:
    mine = _of(table, serial=_serial(table, track_id))
    last = pc.max(_of(mine, matched=True)["frame"]).as_py()
    after = mine.filter(pc.greater(mine["frame"], last))
    lines = [f"Track {track_id} was last matched in frame {last}."]
    if last == pc.max(table["frame"]).as_py():
        lines.append("  It has not ended: there the record stops.")
    elif not len(after):
        lines.append("  After that no detection came near enough to be compared with it.")
    if not len(after):
        return "\n".join(lines)
    lines += _in_vain(table, after.filter(pc.not_equal(after["stage"], REUNION)))
    best = _most_alike(_of(after, stage=REUNION).to_pylist())[-1:]
    for row in best:
        lines.append(f"  Of the newcomers it was compared with by looks, the most alike, in frame {row['frame']}:")
        lines += ["  " + _pair(row), *_takers(table, row)]
    return "\n".join(lines)


def _in_vain(table: pa.Table, after: pa.Table) -> list[str]:
    """What spoke against every detection that came near a track, in the first frame without it."""
    if not len(after):
        return []
    frames = pc.unique(after["frame"]).to_pylist()
    later = "a later frame" if len(frames) == 1 else f"{len(frames)} later frames"
    lines = [f"  It was compared in {later}, in vain. In the first, {frames[0]}:"]
    for row in _of(after, frame=frames[0]).to_pylist():
        lines += ["  " + _pair(row), *_takers(table, row)]
    return lines


def _takers(table: pa.Table, row: Row) -> list[str]:
    """Who had the detection of a pair instead."""
    taken = _of(table, frame=row["frame"], detection=row["detection"], matched=True).to_pylist()
    return [
        f"    taken by {_name(t)} in stage {t['stage']}, cost {t['cost']:.3f}" for t in taken if t["stage"] != BIRTH
    ]


def _most_alike(rows: list[Row]) -> list[Row]:
    """Of each lost track the comparison by looks that was nearest to its gate, or furthest within; the best last."""
    rows = sorted(rows, key=lambda row: row["gate"] - row["cost"])
    return sorted({row["serial"]: row for row in rows}.values(), key=lambda row: row["gate"] - row["cost"])


def _why_began(table: pa.Table, track_id: int) -> str:
    mine = _of(table, serial=_serial(table, track_id), matched=True)
    birth = _of(mine, stage=BIRTH).to_pylist()
    if not birth:
        return f"Track {track_id} began before the record did."
    row = birth[0]
    others = _of(table, frame=row["frame"], detection=row["detection"]).to_pylist()
    lines = [
        f"Track {track_id} began in frame {row['frame']} on detection {row['detection']} (score {row['score']:.2f})."
    ]
    others = [other for other in others if other["stage"] not in (BIRTH, REUNION)]
    lines.append("  No track was near it." if not others else "  The tracks that were near it:")
    lines += ["  " + _pair(other) for other in others]
    seen = set(zip(mine["frame"].to_pylist(), mine["detection"].to_pylist(), strict=True))
    newcomer = [r for r in _of(table, stage=REUNION).to_pylist() if (r["frame"], r["detection"]) in seen]
    for other in reversed(_most_alike(newcomer)):
        lines.append(f"  By looks it was not {_name(other)}, who was lost; most alike in frame {other['frame']}:")
        lines.append("  " + _pair(other))
    return "\n".join(lines)


def _name(row: Row) -> str:
    return f"track {row['track_id']}" if row["track_id"] else "a track that was never confirmed"


def _pair(row: Row) -> str:
    terms = [f"{n[5:].replace('_', ' ')} {row[n]:.3f}" for n in TERMS if row[n] == row[n]]
    cost = "" if np.isinf(row["cost"]) else f", cost {row['cost']:.3f} (gate {row['gate']:.3f})"
    who = f"{_name(row)}, detection {row['detection']}, stage {row['stage']}"
    return f"{who}: {row['verdict']}{cost}; {', '.join(terms)}"
