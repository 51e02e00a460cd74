"""Scores as people and programs read them: tables, JSON, CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table

from reid.files import replacing
from tracker.cli.console import stdout

if TYPE_CHECKING:
    from tracker.evaluation.bootstrap import Interval
    from tracker.evaluation.evaluate import Scores

COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "MOTP", "FP", "FN", "IDSW", "Frag", "MT", "ML")
COMBINED = "combined"
MOST_COLUMNS = 14
GAP = 3
"""Characters between two columns."""
FAMILIES = (
    ("HOTA", "DetA", "AssA", "LocA", "DetRe", "DetPr", "AssRe", "AssPr", "OWTA", "HOTA(0)", "LocA(0)"),
    ("MOTA", "MOTP", "MODA", "sMOTA", "MOTAL", "CLR_Re", "CLR_Pr", "CLR_F1", "FAF"),
    ("TP", "FP", "FN", "IDSW", "Frag", "MT", "PT", "ML", "MTR", "PTR", "MLR"),
    ("IDF1", "IDP", "IDR", "IDTP", "IDFP", "IDFN", "Dets", "GT_Dets", "IDs", "GT_IDs", "Frames"),
)
COUNTS_PER_FRAME = ("FAF",)
CURVES = ("HOTA", "DetA", "AssA", "DetRe", "DetPr", "AssRe", "AssPr", "LocA", "OWTA", "TP", "FP", "FN")


def print_table(
    scores: Mapping[str, Scores],
    columns: Sequence[str] = COLUMNS,
    *,
    title: str | None = None,
    intervals: Mapping[str, Interval] | None = None,
) -> None:
    """A row a sequence, one for all, and where there are intervals, their ends; fractions in per cent.

    More columns than can be read at once become a table for each family, and what is too wide for the terminal several.
    """
    if title is not None:
        stdout.print(title, style="bold", highlight=False, markup=False, soft_wrap=True)
    families = [list(columns)]
    if len(columns) > MOST_COLUMNS:
        families = [[c for c in family if c in columns] for family in FAMILIES]
    numbers = {name: score.full() for name, score in scores.items()}
    for family in filter(None, families):
        for part in _fitting(numbers, family, stdout.width):
            stdout.print(_table(numbers, part, intervals or {}), "", highlight=False)


def _fitting(numbers: Mapping[str, Mapping[str, float]], columns: Sequence[str], width: int) -> list[list[str]]:
    """The columns in as many parts as it takes for each to fit beside the names of the sequences."""
    taken = max(map(len, ["sequence", "95 % from", *numbers])) + GAP
    parts: list[list[str]] = [[]]
    used = taken
    for column in columns:
        needed = max(len(column), *(len(_cell(column, row[column])) for row in numbers.values())) + GAP
        if parts[-1] and used + needed > width:
            parts.append([])
            used = taken
        parts[-1].append(column)
        used += needed
    return parts


def _table(
    numbers: Mapping[str, Mapping[str, float]], columns: Sequence[str], intervals: Mapping[str, Interval]
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("sequence", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in numbers.items():
        if name == COMBINED:
            table.add_section()
        table.add_row(name, *(_cell(c, row[c]) for c in columns), style="bold" if name == COMBINED else None)
    for end, words in (("low", "95 % from"), ("high", "95 % to")) if intervals else ():
        ends = {c: _like(numbers[COMBINED][c], getattr(i, end)) for c, i in intervals.items()}
        table.add_row(words, *(_cell(c, ends[c]) if c in ends else "" for c in columns), style="dim")
    return table


def print_differences(
    combined: tuple[Scores, Scores],
    differences: Mapping[str, Interval],
    sequences: int,
    columns: Sequence[str] = COLUMNS,
) -> None:
    """A row a metric: both trackers, the second less the first, its interval, and what that means."""
    from tracker.evaluation.bootstrap import verdict

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("combined", no_wrap=True)
    for heading in ("A", "B", "B − A", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    a, b = (scores.full() for scores in combined)
    for name in [c for c in columns if c in differences]:
        d = differences[name]
        less, low, high = (_cell(name, _like(a[name], value), signed=True) for value in (d.value, d.low, d.high))
        words = verdict(name, d, sequences)
        interval = "–" if math.isnan(d.low) else f"{low} … {high}"
        style = "bold" if words.endswith("better") else None
        table.add_row(name, _cell(name, a[name]), _cell(name, b[name]), less, interval, words, style=style)
    stdout.print(table, highlight=False)


def _like(kind: float | int, value: float) -> float | int:
    """Ends of an interval of a count are shown as counts."""
    return round(value) if isinstance(kind, int) and not math.isnan(value) else value


def _cell(name: str, value: float | int, *, signed: bool = False) -> str:
    if isinstance(value, float) and name not in COUNTS_PER_FRAME:
        value *= 100
    sign = "+" if signed else ""
    return "–" if math.isnan(value) else f"{value:{sign}.2f}" if isinstance(value, float) else f"{value:{sign}d}"


def document(scores: Mapping[str, Scores], *, full: bool = False) -> dict[str, Any]:
    """The JSON of one tracker: fractions in 0–1; `full` adds every number, and the curves over the thresholds."""
    numbers = {name: _numbers(score, full) for name, score in scores.items()}
    return {"sequences": {n: v for n, v in numbers.items() if n != COMBINED}, COMBINED: numbers[COMBINED]}


def _numbers(score: Scores, full: bool) -> dict[str, Any]:
    if not full:
        return dict(score.summary())
    from tracker.evaluation.hota import THRESHOLDS

    curves = {name: getattr(score.hota, name).tolist() for name in CURVES}
    return {**score.full(), "by_threshold": {"threshold": THRESHOLDS.round(2).tolist(), **curves}}


def interval_numbers(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    """Intervals for JSON, in which there is no NaN."""
    return {
        name: {
            "value": i.value,
            "low": None if math.isnan(i.low) else i.low,
            "high": None if math.isnan(i.high) else i.high,
        }
        for name, i in intervals.items()
    }


def write_csv(path: Path, trackers: Mapping[str, Mapping[str, Scores]], columns: Sequence[str]) -> None:
    """A row a tracker and sequence, numbers in full; the tracker's column only where there are several."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        lead = ["pred", "sequence"] if len(trackers) > 1 else ["sequence"]
        writer.writerow([*lead, *columns])
        for tracker, scores in trackers.items():
            for name, score in scores.items():
                numbers = score.full()
                first = [tracker, name] if len(trackers) > 1 else [name]
                writer.writerow([*first, *(numbers[c] for c in columns)])
