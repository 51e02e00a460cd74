"""Identities by motion alone, ours beside others' trackers as shipped: `python -m tools.benchmarks.compare_trackers`.

The same detections for all, every tracker with one setting for everything. What they are compared on, and the four
sets of groups that `--groups` chooses from, is said in `motion_scenes.py`: real detections unless another is asked
for. Scores are those of a group's sequences together; where a group has several draws, printed are the mean and the
deviation over the draws. The last rows are what the detections allow (those that fit somebody, with his true id), the
best of each score of any peer, and how far ours is ahead. A group with a known camera motion hands it to all that can
take it: our recipes, and those of Ultralytics' trackers that follow a camera.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.benchmarks.motion_peers import MAKERS, PEERS, ours
from tools.benchmarks.motion_scenes import (
    DATA,
    Draws,
    Maker,
    Rows,
    Sequence,
    Update,
    cross_groups,
    only,
    plain_groups,
    real_groups,
    tracked_groups,
)
from tracker.association.matching.assignment import assign
from tracker.association.overlap import iou
from tracker.config import config_names
from tracker.evaluation.benchmarks import prepare, rules_of
from tracker.evaluation.evaluate import Scores, combine, score_sequence
from tracker.evaluation.sequence import compute_similarity
from tracker.formats.table import make_table

Row = dict[str, dict[str, float]]
"""Of a tracker: group, key of the score, percent."""

KEYS = ("HOTA", "IDF1", "MOTA")
CEILING = "true ids on what was detected"


def judge(update: Update, sequence: Sequence) -> Scores:
    """Run a tracker over a sequence and score it."""
    ids, frames, boxes = [], [], []
    for index, rows in enumerate(sequence.frames):
        found, corners = update(rows, index / sequence.rate)
        ids.append(found)
        frames.append(np.full(len(found), index))
        boxes.append(corners.reshape(-1, 4))
    result = make_table(frame=np.concatenate(frames), id=np.concatenate(ids), xyxy=np.concatenate(boxes))
    truth, result = prepare(sequence.truth, result, rules_of(sequence.benchmark), len(sequence.frames))
    return score_sequence(compute_similarity(truth, result, len(sequence.frames)))


def true_ids(sequence: Sequence) -> Update:
    """What no tracker of these boxes can know better: the detections that fit somebody, with his true id."""
    truth, frame = sequence.truth, iter(range(len(sequence.frames)))

    def update(rows: Rows, _: float) -> tuple[NDArray[np.int64], Rows]:
        now = truth.frame == next(frame)
        who, which = assign(1 - iou(truth.xyxy[now], rows[:, :4]), 0.5)
        return truth.id[now][who], rows[which, :4]

    return update


def of_draws(make: Maker, draws: Draws) -> dict[str, float]:
    """Mean scores over the draws, in percent, and their deviations; NaN where there are none."""
    if not draws:
        return {name: math.nan for key in KEYS for name in (key, f"{key} deviation")}
    found = [combine({f"{s.name} {i}": judge(make(s), s) for i, s in enumerate(draw)}).summary() for draw in draws]
    values = {key: [100 * float(f[key]) for f in found] for key in KEYS}
    scores = {key: float(np.mean(values[key])) for key in KEYS}
    return scores | {f"{key} deviation": float(np.std(values[key])) for key in KEYS}


def package_of(tracker: str) -> str:
    """The first word of its name."""
    return tracker.partition(" ")[0]


def row_of(name: str, make: Maker, groups: Mapping[str, Draws]) -> Row:
    """A tracker's scores in every group, by the truths that nothing of its package made: they have its habits."""
    own = package_of(name)
    fair = {group: [draw for draw in draws if package_of(draw[0].maker) != own] for group, draws in groups.items()}
    return {group: of_draws(make, draws) for group, draws in fair.items()}


def best_of(rows: list[Row]) -> Row:
    """The best of each score in each group."""
    return {group: {key: float(np.nanmax([row[group][key] for row in rows])) for key in KEYS} for group in rows[0]}


def lead(row: Row, other: Row) -> Row:
    """By how much a row is ahead."""
    return {group: {key: row[group][key] - other[group][key] for key in KEYS} for group in row}


def as_line(name: str, row: Row, draws: Mapping[str, int]) -> str:
    """Of the printed table."""
    cells = []
    for group, scores in row.items():
        wide = draws[group] > 1 and "HOTA deviation" in scores
        cells.append(" ".join(f"{scores[k]:.1f}" + (f"±{scores[f'{k} deviation']:.1f}" if wide else "") for k in KEYS))
    return f"{name:<40}" + "".join(f"{cell:>27}" for cell in cells)


def _ours(recipe: str) -> Maker:
    """Makes a recipe anew for a sequence."""
    return lambda scene: ours(recipe, camera=scene.camera)


def contenders(recipes: list[str], peers: bool) -> Iterator[tuple[str, Maker]]:
    """Names, and how each is made anew for a sequence."""
    for recipe in recipes:
        yield f"reacquire {recipe}", _ours(recipe)
    yield from PEERS.items() if peers else ()


def make_groups(kind: str, seeds: int) -> dict[str, Draws]:
    """The groups of one of the four sets."""
    if kind == "real":
        return real_groups()
    if kind == "plain":
        return plain_groups(seeds)
    if kind == "cross":
        return cross_groups(seeds)
    groups: dict[str, Draws] = {}
    for package in sorted({package_of(name) for name in MAKERS}):
        makers = {name: PEERS[name] for name in MAKERS if package_of(name) == package}
        groups |= {f"{group}, {package}": draws for group, draws in tracked_groups(makers).items()}
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=config_names("trackers"), help="shipped names, or YAML files")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--groups", choices=("real", "plain", "cross", "tracked"), default="real")
    parser.add_argument("--seeds", type=int, default=2, help="simulated detectors for every MOT17 sequence; draws")
    parser.add_argument("--only", nargs="+", metavar="SEQUENCE", help="these sequences alone")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"no data folder at {DATA}; set REACQUIRE_DATA to one")
    groups = make_groups(args.groups, args.seeds)
    if args.only:
        groups = only(groups, args.only)
    draws = {group: len(made) for group, made in groups.items()}
    print("HOTA / IDF1 / MOTA, in percent")
    print(f"{'':<40}" + "".join(f"{group:>27}" for group in groups))
    table: dict[str, Row] = {}
    for name, make in contenders(args.recipes, not args.no_peers):
        table[name] = row_of(name, make, groups)
        print(as_line(name, table[name], draws), flush=True)
    table[CEILING] = {group: of_draws(true_ids, made) for group, made in groups.items()}
    print(as_line(CEILING, table[CEILING], draws))
    if not args.no_peers:
        best = best_of([table[name] for name in PEERS])
        print(as_line("best peer", best, draws))
        for name in table.keys() - PEERS.keys() - {CEILING}:
            print(as_line(f"{name}, ahead by", lead(table[name], best), draws))
    if args.json:
        args.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
