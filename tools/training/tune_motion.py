"""Tune `reacquire` by motion alone, and see whether that carries over: `python -m tools.training.tune_motion OUT.yaml`.

Every setting in turn is moved up and down, and stays where the trackers of the literature are left furthest behind,
over the groups `cross` and `tracked` of `motion_scenes.py`. From sweep to sweep the steps shrink. It begins from
BoT-SORT's settings, or with `--from` from those of a recipe.

    python -m tools.training.tune_motion elsewhere.yaml --without TUD-Campus
    python -m tools.benchmarks.compare_trackers --recipes elsewhere.yaml --groups cross --only TUD-Campus

leaves a sequence out of all that is tuned on, and judges the settings on it alone.

What is made larger is the mean over groups of 6 (1 - exp(-lead / 6)), a lead being by how many points of HOTA and IDF1,
half and half, it is before the best of our recipes `bytetrack`, `botsort`, `ocsort` and `cbiou`: to fall behind
somewhere costs more than being further ahead elsewhere gives.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from tools.benchmarks.compare_trackers import Row, best_of, lead, row_of
from tools.benchmarks.motion_peers import MAKERS, PEERS, ours
from tools.benchmarks.motion_scenes import Draws, cross_groups, only, tracked_groups
from tracker.config import load_recipe
from tracker.processes import end_with_parent

BASE = "reacquire"
PUBLISHED = ("bytetrack", "botsort", "ocsort", "cbiou")


@dataclass(frozen=True)
class Range:
    """From where to where a setting may go, by sums or by factors; BoT-SORT's value."""

    low: float
    high: float
    start: float
    by_factor: bool = False

    def moved(self, value: float, share: float) -> float:
        """The value further on by a share of the range."""
        if self.by_factor:
            value *= (self.high / self.low) ** share
        else:
            value += share * (self.high - self.low)
        return float(f"{min(max(value, self.low), self.high):.3g}")


SPACE = {
    "motion.measurement_noise": Range(0.02, 0.15, 0.05, True),
    "motion.position_noise": Range(0.003, 0.06, 0.05, True),
    "motion.velocity_noise": Range(0.0005, 0.012, 0.00625, True),
    "motion.start_velocity": Range(0.02, 0.4, 0.0625, True),
    "motion.size_noise": Range(0.1, 1.5, 1.0, True),
    "motion.adapt": Range(0, 0.06, 0),
    "stages.1.gate": Range(0.7, 1.1, 0.8),
    "stages.1.shape": Range(0, 0.4, 0),
    "stages.1.direction": Range(0, 0.3, 0),
    "stages.1.min_iou": Range(0, 0.2, 0),
    "stages.3.gate": Range(0.3, 0.9, 0.5),
    "stages.5.gate": Range(0.5, 0.95, 0.7),
    "birth.score": Range(0.25, 0.75, 0.7),
    "birth.min_real_probability": Range(0.2, 0.85, 0.5),
    "birth.overlap": Range(0.4, 0.9, 0.9),
    "birth.tentative_seconds": Range(0, 0.35, 0),
    "death.lost_seconds": Range(0.7, 4, 1, True),
    "death.min_survival_probability": Range(0.2, 0.6, 0.5),
}
"""`stages.1`, `3` and `5` are those for frames without embeddings: high scores, low scores, tentative tracks."""

FIRST_STEP, WIDER, NARROWER, LEAST_GAIN = 0.15, 1.3, 0.6, 0.003
"""Of a range; how it changes after a move that helped and after none; what counts as help."""


@cache
def scenes(without: tuple[str, ...], seeds: int) -> tuple[dict[str, Draws], Row]:
    """All that is tuned on, and the best of the published recipes there."""
    groups = cross_groups(seeds) | tracked_groups({name: PEERS[name] for name in MAKERS})
    groups = only(groups, list(without), without=True)
    return groups, best_of([row_of(name, lambda _, name=name: ours(name), groups) for name in PUBLISHED])


def utility(settings: Mapping[str, float], without: tuple[str, ...], seeds: int) -> float:
    """What is made larger."""
    groups, best = scenes(without, seeds)
    overrides = [f"{key}={value}" for key, value in settings.items()]
    ahead = lead(row_of(BASE, lambda _: ours(BASE, overrides), groups), best)
    leads = [max((scores["HOTA"] + scores["IDF1"]) / 2, -20.0) for scores in ahead.values()]
    return float(np.mean([6 * (1 - math.exp(-points / 6)) for points in leads]))


def value_in(recipe: Mapping[str, object], key: str) -> float:
    """The setting at a dotted key."""
    found: object = recipe
    for part in key.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]  # type: ignore[index]
    return float(found)  # type: ignore[arg-type]


def search(
    settings: dict[str, float], without: tuple[str, ...], seeds: int, sweeps: int, pool: ProcessPoolExecutor
) -> dict[str, float]:
    """Move every setting up and down, sweep after sweep."""
    steps = dict.fromkeys(SPACE, FIRST_STEP)
    best = pool.submit(utility, settings, without, seeds).result()
    print(f"start {best:.3f}", flush=True)
    for sweep in range(sweeps):
        for key, its in SPACE.items():
            tries = [settings | {key: its.moved(settings[key], way * steps[key])} for way in (1, -1)]
            found = list(pool.map(utility, tries, [without] * 2, [seeds] * 2))
            better = max(found) > best + LEAST_GAIN
            if better:
                best, settings = max(found), tries[int(np.argmax(found))]
                print(f"{time.strftime('%X')} sweep {sweep + 1}: {key} = {settings[key]:g}, {best:.3f}", flush=True)
            steps[key] *= WIDER if better else NARROWER
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the recipe with the settings that were found")
    parser.add_argument("--from", dest="start", metavar="RECIPE", help="begin from this recipe's settings")
    parser.add_argument("--without", nargs="+", default=[], metavar="SEQUENCE")
    parser.add_argument("--sweeps", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    settings = {key: its.start for key, its in SPACE.items()}
    if args.start:
        recipe = load_recipe(args.start).model_dump(mode="json")
        settings = {key: value_in(recipe, key) for key in SPACE}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.processes, mp_context=context, initializer=end_with_parent) as pool:
        settings = search(settings, tuple(args.without), args.seeds, args.sweeps, pool)
    found = load_recipe(BASE, [f"{key}={value}" for key, value in settings.items()])
    args.out.write_text(yaml.safe_dump(found.model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
