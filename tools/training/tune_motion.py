"""Tune `reacquire` by motion alone on real detections: `python -m tools.training.tune_motion OUT.yaml`.

Every setting in turn is moved up and down, and stays where the score is best; from sweep to sweep the steps shrink. It
begins from settings of the literature, or with `--from` from those of a recipe.

    python -m tools.training.tune_motion elsewhere.yaml --without MOT17-02
    python -m tools.benchmarks.compare_trackers --recipes elsewhere.yaml --only MOT17-02

leaves a sequence out of all that is tuned on, and judges the settings on it alone.

The score is made so that a plateau wins and no lucky switch. Each sequence counts alike, however many people it has:
MOT17's second halves with YOLOX-X detections, views of CAMPUS's auditorium with YOLOv8n's, MOT15 with SORT's public
ones, the latter two for less. Each is seen several times: as it is, with trembling detections, backwards, at half the
frame rate; and in each draw all settings tremble too, by some six per cent. Leaving where the literature has a setting
costs a little. Simulated scenes are not tuned on; how the settings do there is printed apart at the end.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from tools.benchmarks.compare_trackers import judge, row_of
from tools.benchmarks.motion_peers import ours
from tools.benchmarks.motion_scenes import (
    AUDITORIUM,
    MOT15,
    YOLOX,
    Sequence,
    auditorium,
    backwards,
    every,
    plain_groups,
    public,
    yolox,
)
from tracker.config import load_recipe
from tracker.processes import end_with_parent

BASE = "reacquire"


@dataclass(frozen=True)
class Range:
    """From where to where a setting may go, by sums or by factors; the literature's value."""

    low: float
    high: float
    start: float
    by_factor: bool = False

    def place(self, value: float) -> float:
        """Where in the range a value is, 0-1."""
        if self.by_factor:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def moved(self, value: float, share: float) -> float:
        """The value further on by a share of the range."""
        if self.by_factor:
            value *= (self.high / self.low) ** share
        else:
            value += share * (self.high - self.low)
        return float(f"{min(max(value, self.low), self.high):.3g}")


SPACE = {
    "motion.measurement_noise": Range(0.02, 0.2, 0.05, True),
    "motion.position_noise": Range(0.01, 0.08, 0.05, True),
    "motion.velocity_noise": Range(0.0015, 0.012, 0.00625, True),
    "stages.1.detections.score.0": Range(0.2, 0.65, 0.25),
    "stages.1.gate": Range(0.6, 1.0, 0.8),
    "stages.1.mahalanobis": Range(0, 0.25, 0),
    "stages.1.low_below": Range(0.4, 0.8, 0.6),
    "stages.1.low_penalty": Range(0, 0.4, 0.2),
    "stages.2.gate": Range(0.2, 0.65, 0.5),
    "stages.4.detections.score.0": Range(0.4, 0.85, 0.6),
    "birth.score": Range(0.4, 0.8, 0.7),
    "birth.min_real_probability": Range(0.3, 0.85, 0.5),
    "death.lost_seconds": Range(0.7, 2.0, 1.0, True),
    "death.min_survival_probability": Range(0.3, 0.7, 0.5),
}
"""`stages.1`, `2` and `4` are those for frames without embeddings: all but the weakest detections, the weak, tentative
tracks. BoT-SORT's filter, TrackTrack's penalty, ByteTrack's scores and life times; ours where nobody has such a one."""

FIRST_STEP, WIDER, NARROWER, LEAST_GAIN = 0.2, 1.3, 0.6, 0.02
"""Of a range; how it changes after a move that helped and after none; what counts as help."""
TREMBLING, LEASH = 0.06, 1.0
"""Deviation of settings from draw to draw, as a share; points that the mean square of all moves costs."""


def trembling(sequence: Sequence, seed: int) -> Sequence:
    """Another draw of nearly the same detections: two per cent are gone, boxes and scores tremble."""
    chance, frames = np.random.default_rng(900 + seed), []
    for found in sequence.frames:
        rows = found[chance.random(len(found)) > 0.02].copy()
        sides = np.tile(rows[:, 2:4] - rows[:, :2], 2)
        rows[:, :4] += sides * chance.normal(0, 0.008, (len(rows), 4))
        rows[:, 4] = np.clip(rows[:, 4] + chance.normal(0, 0.02, len(rows)), 0.01, 1)
        frames.append(rows)
    return replace(sequence, frames=frames)


@cache
def scenes(without: tuple[str, ...]) -> list[tuple[float, list[Sequence]]]:
    """Of every sequence that is tuned on how much it counts, and its draws."""
    whole = [(1.0, yolox(name, rate)) for name, rate in YOLOX]
    whole += [(0.4, public(name, rate)) for name, rate in MOT15]
    found = []
    for weight, scene in whole:
        if scene.name not in without:
            other = [trembling(scene, 1), trembling(backwards(scene), 2), trembling(every(scene, 2, 1), 3)]
            found.append((weight, [scene, *other]))
    views = [view for view in AUDITORIUM if view not in without]
    return found + [(0.4, [auditorium(view, first, 450) for first in (900, 3300)]) for view in views]


def varied(settings: Mapping[str, float], seed: int) -> list[str]:
    """Settings as overrides, each off by a few per cent; the draw 0 has them as they are."""
    chance = np.random.default_rng(seed)
    factors = np.exp(TREMBLING * chance.normal(0, 1, len(settings))) if seed else np.ones(len(settings))
    overrides = []
    for (key, value), factor in zip(settings.items(), factors, strict=True):
        limit = 1.0 if "score" in key or "probability" in key or "low_" in key else math.inf
        overrides.append(f"{key}={min(value * factor, limit):.6g}")
    return overrides


def worth(update: object, scene: Sequence) -> float:
    """A weighted mean of HOTA, IDF1 and MOTA, in points; MOTA counts a little less."""
    found = judge(update, scene).summary()  # type: ignore[arg-type]
    return 100 * (float(found["HOTA"]) + float(found["IDF1"]) + 0.7 * float(found["MOTA"])) / 2.7


def score(settings: Mapping[str, float], without: tuple[str, ...]) -> float:
    """What is made larger."""
    total, weights = 0.0, 0.0
    for weight, draws in scenes(without):
        values = [worth(ours(BASE, varied(settings, seed)), scene) for seed, scene in enumerate(draws)]
        total, weights = total + weight * float(np.mean(values)), weights + weight
    away = [SPACE[key].place(value) - SPACE[key].place(SPACE[key].start) for key, value in settings.items()]
    return total / weights - LEASH * float(np.mean(np.square(away)))


def value_in(recipe: Mapping[str, object], key: str) -> float:
    """The setting at a dotted key."""
    found: object = recipe
    for part in key.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]  # type: ignore[index]
    return float(found)  # type: ignore[arg-type]


def search(
    settings: dict[str, float], without: tuple[str, ...], sweeps: int, pool: ProcessPoolExecutor
) -> dict[str, float]:
    """Move every setting up and down, sweep after sweep."""
    steps = dict.fromkeys(SPACE, FIRST_STEP)
    best = pool.submit(score, settings, without).result()
    print(f"start {best:.3f}", flush=True)
    for sweep in range(sweeps):
        for key, its in SPACE.items():
            tries = [settings | {key: its.moved(settings[key], way * steps[key])} for way in (1, -1)]
            found = list(pool.map(score, tries, [without] * 2))
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
    parser.add_argument("--sweeps", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--simulated", action="store_true", help="say at the end how the settings do on simulated scenes"
    )
    args = parser.parse_args()
    settings = {key: its.start for key, its in SPACE.items()}
    if args.start:
        recipe = load_recipe(args.start).model_dump(mode="json")
        settings = {key: value_in(recipe, key) for key in SPACE}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.processes, mp_context=context, initializer=end_with_parent) as pool:
        settings = search(settings, tuple(args.without), args.sweeps, pool)
    overrides = [f"{key}={value}" for key, value in settings.items()]
    found = load_recipe(BASE, overrides)
    args.out.write_text(yaml.safe_dump(found.model_dump(mode="json", exclude_defaults=True), sort_keys=False))
    print(f"wrote {args.out}")
    if args.simulated:
        for group, scores in row_of("reacquire", lambda _: ours(BASE, overrides), plain_groups(2)).items():
            print(f"{group}: " + ", ".join(f"{key} {scores[key]:.1f}" for key in ("HOTA", "IDF1", "MOTA")))


if __name__ == "__main__":
    main()
