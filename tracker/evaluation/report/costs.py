"""The costs that decided a switch, from a run that was recorded with explanations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tracker.association.explain import BIRTH, TERMS
from tracker.sinks.record import COLUMNS, FILE, read_record

MOST_ROWS = 8
"""Comparisons shown of one switch."""


def find_record(pred: Path) -> Path | None:
    """The record beside predictions: `NAME.explain.parquet`, or `explain.parquet` in the folder of a run."""
    paths = [pred.with_name(f"{pred.stem}.explain.parquet")]
    if pred.stem == "tracks":
        paths.append(pred.with_name(FILE))
    return next((path for path in paths if path.is_file()), None)


class Record:
    """All comparisons of a run, found by frame.

    Args:
        path: Parquet of the table that `Engine.take_record` gives.

    Raises:
        DataError: not such a table.
    """

    def __init__(self, path: Path) -> None:
        table = read_record(path)
        self._terms = [name for name in TERMS if name in table.column_names]
        self._column = {name: table[name].to_numpy() for name in (*COLUMNS, *self._terms)}
        order = np.argsort(self._column["frame"], kind="stable")
        self._column = {name: values[order] for name, values in self._column.items()}

    def of_switch(self, frame: int, before: int, after: int, last: int) -> list[dict[str, Any]]:
        """What was compared when an identity went from one track to another.

        Args:
            frame: of the first box of the new track, 1-based as in the predictions.
            before: the old track.
            after: the new one.
            last: frame of the old track's last box, 1-based.

        Returns:
            All that was compared with the box that the new track took, and with the old track; where the old track was
            not compared in that frame, when it last was, since it was lost.
        """
        rows = self._rows(frame - 1)
        track, detection = self._column["track_id"][rows], self._column["detection"][rows]
        mine = detection[(track == after) & self._column["matched"][rows]]
        chosen = rows[np.isin(detection, mine) | (track == before)]
        if before not in self._column["track_id"][chosen]:
            low, high = np.searchsorted(self._column["frame"], [last, frame - 1]).tolist()
            earlier = np.arange(low, high)[self._column["track_id"][low:high] == before]
            if len(earlier):
                chosen = np.concatenate(
                    [earlier[self._column["frame"][earlier] == self._column["frame"][earlier[-1]]], chosen]
                )
        return [self._row(row) for row in chosen[:MOST_ROWS].tolist()]

    def _rows(self, frame: int) -> np.ndarray[Any, Any]:
        low, high = np.searchsorted(self._column["frame"], [frame, frame + 1]).tolist()
        return np.arange(low, high)

    def _row(self, row: int) -> dict[str, Any]:
        value = {name: self._column[name][row] for name in self._column}
        terms = {name.removeprefix("term_").replace("_", " "): _number(value[name]) for name in self._terms}
        return {
            "frame": int(value["frame"]) + 1,
            "track": int(value["track_id"]),
            "detection": int(value["detection"]),
            "stage": "a new track" if value["stage"] == BIRTH else str(value["stage"]),
            "verdict": str(value["verdict"]),
            "matched": bool(value["matched"]),
            "cost": _number(value["cost"]),
            "gate": _number(value["gate"]),
            "terms": {name: number for name, number in terms.items() if number is not None},
        }


def _number(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None
