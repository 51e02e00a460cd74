"""Why a pair was made or refused, a track ended, another began: kept as a table, answered in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tracker.association import records as rc
from tracker.association.recipe import Recipe
from tracker.errors import DataError

Float32 = NDArray[np.float32]
Table = NDArray[Any]
Row = dict[str, Any]
"""Of the record, by column."""

TERMS = tuple(f"term_{name}" for name in rc.TERMS)
"""Columns of the terms of a cost, NaN where a stage did not ask; `records.TERMS` says what each is."""

BIRTH, REIDENTIFICATION = "birth", "reidentification"


class Record:
    """What the engine thought, frame by frame, until it is taken."""

    def __init__(self) -> None:
        self._frame = 0
        self._born = 0
        self._living: set[int] = set()
        self._ids: dict[int, int] = {}
        self._pairs: list[Table] = []
        self._head: list[NDArray[np.float64]] = []

    def add(self, now: float, pairs: Table, tracks: Table, xyxy: Float32, score: Float32) -> None:
        """One frame.

        Args:
            now: its timestamp.
            pairs: ``(P,)`` of `PAIR`, in whose `track` the serial of each track stands.
            tracks: ``(M,)`` of `TRACK` after the frame.
            xyxy: ``(N, 4)`` of its detections, with their `score`.
        """
        ids = dict(zip(tracks["serial"].tolist(), tracks["id"].tolist(), strict=True))
        self._ids |= ids
        self._living = set(ids)
        new = tracks[tracks["serial"] >= self._born]
        self._born = max(self._born, int(tracks["serial"].max(initial=-1)) + 1)
        births = np.zeros(len(new), rc.PAIR)
        for name in ("cost", "gate", *rc.TERMS):
            births[name] = np.nan
        births["stage"], births["track"], births["verdict"] = -1, new["serial"], rc.MATCHED
        same = (new["box"][:, None] == xyxy[None]).all(2)
        births["detection"] = same.argmax(1) if len(new) else 0
        rows = np.concatenate([pairs, births])
        of = rows["detection"]
        self._pairs.append(rows)
        head = [np.full(len(rows), self._frame), np.full(len(rows), now), *xyxy[of].T, score[of]]
        self._head.append(np.column_stack(head).reshape(len(rows), 7))
        self._frame += 1

    def take(self, recipe: Recipe) -> pa.Table:
        """All rows since the last time, oldest first; they are forgotten here.

        Columns: `frame` (0-based, counted since the engine began), `timestamp`, `stage`, `serial` (of every track,
        also of those without an id), `track_id` (0 where it never got one), `detection`, `x1 … y2` and `score` of the
        detection, `cost`, `gate`, `verdict`, `matched`, and the terms of the cost.
        """
        rows = np.concatenate([np.empty(0, rc.PAIR), *self._pairs])
        head = np.concatenate([np.empty((0, 7)), *self._head])
        self._pairs, self._head = [], []
        stages = [f"{i}: {stage.cost}" for i, stage in enumerate(recipe.stages, 1)]  # type: ignore[attr-defined]
        names = np.array([BIRTH, *stages, REIDENTIFICATION])
        ids = np.array([self._ids.get(s, 0) for s in rows["track"].tolist()], np.int64)
        self._ids = {s: i for s, i in self._ids.items() if s in self._living}
        columns = {
            "frame": head[:, 0].astype(np.int64),
            "timestamp": head[:, 1],
            "stage": names[rows["stage"] + 1],
            "serial": rows["track"],
            "track_id": ids,
            "detection": rows["detection"],
            "x1": head[:, 2], "y1": head[:, 3], "x2": head[:, 4], "y2": head[:, 5],
            "score": head[:, 6],
            "cost": rows["cost"],
            "gate": rows["gate"],
            "verdict": np.array(rc.VERDICTS)[rows["verdict"]],
            "matched": rows["verdict"] == rc.MATCHED,
        }  # fmt: skip
        columns |= {f"term_{name}": rows[name] for name in rc.TERMS}
        return pa.table({name: np.ascontiguousarray(column) for name, column in columns.items()})


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
    lines += _in_vain(table, after.filter(pc.not_equal(after["stage"], REIDENTIFICATION)))
    best = _most_alike(_of(after, stage=REIDENTIFICATION).to_pylist())[-1:]
    for row in best:
        lines.append(f"  Of the newcomers it was compared with by embedding, the most alike, in frame {row['frame']}:")
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
    """Of each lost track the comparison that was nearest to its gate, or furthest within; the best last."""
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
    others = [other for other in others if other["stage"] not in (BIRTH, REIDENTIFICATION)]
    lines.append("  No track was near it." if not others else "  The tracks that were near it:")
    lines += ["  " + _pair(other) for other in others]
    seen = set(zip(mine["frame"].to_pylist(), mine["detection"].to_pylist(), strict=True))
    newcomer = [r for r in _of(table, stage=REIDENTIFICATION).to_pylist() if (r["frame"], r["detection"]) in seen]
    for other in reversed(_most_alike(newcomer)):
        lines.append(
            f"  By its embedding it was not {_name(other)}, who was lost; most alike in frame {other['frame']}:"
        )
        lines.append("  " + _pair(other))
    return "\n".join(lines)


def _name(row: Row) -> str:
    return f"track {row['track_id']}" if row["track_id"] else "a track that was never confirmed"


def _pair(row: Row) -> str:
    terms = [f"{n[5:].replace('_', ' ')} {row[n]:.3f}" for n in TERMS if row[n] == row[n]]
    cost = "" if np.isinf(row["cost"]) else f", cost {row['cost']:.3f} (gate {row['gate']:.3f})"
    who = f"{_name(row)}, detection {row['detection']}, stage {row['stage']}"
    return f"{who}: {row['verdict']}{cost}; {', '.join(terms)}"
