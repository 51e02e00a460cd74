"""Identities by motion alone, ours beside Ultralytics' trackers: `python tools/compare_trackers.py`.

The same detections for all, every tracker with one setting for everything. Groups:
- mot15: SORT's public detections (Faster R-CNN) of the MOT15 sequences whose ground truth the data folder has;
- mot17: ground truth of MOT17 seen by a simulated detector (misses in runs, jitter, scores that fall
  with occlusion, false boxes);
and each again with every second and every fifth frame only, with a shaking camera, and with noise on the scores.
Scores are those of a group's sequences together.

With `--cross` in their place what tells how far it carries over: the MOT15 detections forwards and backwards with 3 %
of them dropped and boxes trembling by 1 % of their height, again with half the frames, a fifth, and a shaking camera;
and MOT17 seen by other kinds of detectors (`DETECTORS`). Every group is drawn `--seeds` times; printed are the mean
and the deviation over the draws.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from tracker import Detections
from tracker.association.engine import Engine
from tracker.config import config_names, load_recipe
from tracker.evaluation.evaluate import Scores, combine, score_sequence
from tracker.evaluation.sequence import Boxes, match_up
from tracker.mot.associate import motion_only

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
Rows = NDArray[np.float64]
Update = Callable[[Rows, float], tuple[NDArray[np.int64], Rows]]


@dataclass(frozen=True)
class Sequence:
    """Detections ``(N, 5)`` of every frame (corners and score), the ground truth, frames a second."""

    name: str
    frames: list[Rows]
    truth: Boxes
    rate: float


def boxes_of(rows: Rows, frame: NDArray[np.int64]) -> Boxes:
    """MOT rows as ground truth."""
    corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
    n = len(rows)
    return Boxes(frame, rows[:, 1].astype(np.int64), corners, np.ones(n, np.int64), np.ones(n, bool))


def public(name: str, rate: float) -> Sequence:
    """A MOT15 sequence with SORT's detections."""
    found = np.loadtxt(DATA / "mot15" / name / "det/det.txt", delimiter=",")
    truth = np.loadtxt(DATA / "mot15" / name / "gt/gt.txt", delimiter=",")
    truth = truth[truth[:, 6] != 0]
    truth = truth[np.argsort(truth[:, 0], kind="stable")]
    frames = []
    for frame in range(1, int(truth[:, 0].max()) + 1):
        rows = found[found[:, 0] == frame]
        frames.append(np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6], np.clip(rows[:, 6], 0, 1)]))
    return Sequence(name, frames, boxes_of(truth, truth[:, 0].astype(np.int64)), rate)


@dataclass(frozen=True)
class Simulated:
    """How a simulated detector errs.

    Everyone is missed now and then for runs of frames, and more the more others hide them; scores follow visibility;
    boxes tremble by a share of their size, each frame's error correlated with the last's; false boxes stay for a while.
    """

    miss: float = 0.02  # chance a frame that a run of misses begins
    run: tuple[int, int] = (1, 8)
    sees: tuple[float, float] = (1.6, 0.1)  # chance of being seen: visibility times, plus
    tremble: float = 0.03
    correlation: float = 0.0
    score: tuple[float, float, float, float] = (0.35, 0.6, 0.1, 0.05)  # plus visibility times, deviation, least
    false: float = 0.2  # that begin in a frame
    stay: tuple[int, int] = (1, 5)
    false_score: tuple[float, float] = (0.4, 0.15)


DETECTORS = {
    "usual": Simulated(),
    "exact": Simulated(0.004, (1, 4), (3, 0.2), 0.008, 0, (0.5, 0.45, 0.05, 0.05), 0.05, (1, 3), (0.35, 0.12)),
    "trembling": Simulated(0.02, (1, 6), (2, 0.1), 0.05, 0.6, (0.4, 0.5, 0.12, 0.05), 0.3, (1, 6), (0.4, 0.15)),
    "long gaps": Simulated(0.02, (5, 25), (2, 0), 0.03, 0.4, (0.4, 0.5, 0.1, 0.05), 0.2, (1, 5), (0.4, 0.15)),
    "flickering": Simulated(0.2, (1, 2), (1.8, 0), 0.025, 0.3, (0.35, 0.5, 0.15, 0.05), 0.2, (1, 3), (0.4, 0.15)),
    "ghosts": Simulated(0.01, (1, 5), (2, 0.1), 0.03, 0.3, (0.35, 0.6, 0.1, 0.05), 0.3, (2, 25), (0.5, 0.15)),
    "sure": Simulated(0.02, (1, 6), (2.2, -0.4), 0.045, 0.7, (0.8, 0.25, 0.08, 0.5), 0.25, (1, 4), (0.65, 0.12)),
}


def simulated(
    name: str, rate: float, seed: int, size: tuple[int, int] = (1920, 1080), detector: Simulated = DETECTORS["usual"]
) -> Sequence:
    """A MOT17 sequence as a detector might see it."""
    d = detector
    chance = np.random.default_rng(seed)
    truth = np.loadtxt(DATA / "mot17" / name / "gt/gt.txt", delimiter=",")
    truth = truth[(truth[:, 6] != 0) & (truth[:, 7] == 1)]
    truth = truth[np.argsort(truth[:, 0], kind="stable")]
    away: dict[int, int] = {}
    error: dict[int, Rows] = {}
    ghosts: list[tuple[int, Rows]] = []
    frames = []
    for frame in range(1, int(truth[:, 0].max()) + 1):
        rows = []
        for row in truth[truth[:, 0] == frame]:
            who, seen, side = int(row[1]), row[8], row[[4, 5, 4, 5]]
            if away.get(who, 0) > 0:
                away[who] -= 1
                continue
            if chance.random() < d.miss:
                away[who] = int(chance.integers(*d.run))
            if chance.random() > min(1.0, d.sees[0] * seen + d.sees[1]):
                continue
            fresh = chance.normal(0, d.tremble, 4)
            kept = error.get(who, fresh)
            error[who] = d.correlation * kept + np.sqrt(1 - d.correlation**2) * fresh
            box = np.r_[row[2:4], row[2:4] + row[4:6]] + error[who] * side
            score = d.score[0] + d.score[1] * seen + chance.normal(0, d.score[2])
            rows.append(np.r_[box, np.clip(score, d.score[3], 0.99)])
        for _ in range(chance.poisson(d.false)):
            x, y, h = chance.uniform(0, 0.9 * size[0]), chance.uniform(0, 0.8 * size[1]), chance.uniform(50, 300)
            box = np.array([x, y, x + 0.4 * h, y + h, np.clip(chance.normal(*d.false_score), d.score[3], 0.95)])
            ghosts.append((int(chance.integers(*d.stay)), box))
        rows += [box + np.r_[chance.normal(0, 2, 4), 0] for _, box in ghosts]
        ghosts = [(left - 1, box) for left, box in ghosts if left > 1]
        frames.append(np.array(rows).reshape(-1, 5))
    return Sequence(name, frames, boxes_of(truth, truth[:, 0].astype(np.int64)), rate)


def every(sequence: Sequence, step: int) -> Sequence:
    """Only every so many frames; what is left keeps its time."""
    kept = (sequence.truth.frame - 1) % step == 0
    truth = sequence.truth.keep(kept)
    truth = Boxes((truth.frame - 1) // step + 1, truth.id, truth.xyxy, truth.class_id, truth.counts)
    return Sequence(sequence.name, sequence.frames[::step], truth, sequence.rate / step)


def shaken(sequence: Sequence, seed: int, pixels: float = 8) -> Sequence:
    """A hand-held camera: everything moves together, smoothly, by so many pixels a frame."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(0, 1, (len(sequence.frames) + 8, 2))
    shift = pixels * np.array([noise[i : i + 4].mean(0) for i in range(len(sequence.frames))])
    frames = [np.c_[rows[:, :4] + np.tile(s, 2), rows[:, 4:]] for rows, s in zip(sequence.frames, shift, strict=True)]
    t = sequence.truth
    truth = Boxes(t.frame, t.id, t.xyxy + np.tile(shift[t.frame - 1], 2), t.class_id, t.counts)
    return Sequence(sequence.name, frames, truth, sequence.rate)


def noisy(sequence: Sequence, seed: int, deviation: float = 0.15) -> Sequence:
    """Scores that tell less."""
    chance = np.random.default_rng(seed)
    frames = []
    for rows in sequence.frames:
        score = np.clip(rows[:, 4] + chance.normal(0, deviation, len(rows)), 0.02, 1)
        frames.append(np.c_[rows[:, :4], score])
    return Sequence(sequence.name, frames, sequence.truth, sequence.rate)


def backwards(sequence: Sequence) -> Sequence:
    """Time runs the other way: who comes, goes."""
    t = sequence.truth
    frame = len(sequence.frames) + 1 - t.frame
    order = np.argsort(frame, kind="stable")
    truth = Boxes(frame[order], t.id[order], t.xyxy[order], t.class_id[order], t.counts[order])
    return Sequence(f"{sequence.name} backwards", sequence.frames[::-1], truth, sequence.rate)


def varied(sequence: Sequence, seed: int) -> Sequence:
    """Another draw of nearly the same detections."""
    chance = np.random.default_rng(1000 + seed)
    frames = []
    for rows in sequence.frames:
        kept = rows[chance.random(len(rows)) > 0.03].copy()
        kept[:, :4] += chance.normal(0, 0.01, (len(kept), 4)) * (kept[:, 3] - kept[:, 1])[:, None]
        frames.append(kept)
    return Sequence(sequence.name, frames, sequence.truth, sequence.rate)


MOT15 = (("TUD-Campus", 25), ("TUD-Stadtmitte", 25))
MOT17 = (("MOT17-05", 14), ("MOT17-09", 30))
Draws = list[list[Sequence]]


def groups(seeds: int) -> dict[str, Draws]:
    """All that is judged: of each group the draws, of each draw the sequences."""
    mot15 = [public(name, rate) for name, rate in MOT15]
    mot17 = [simulated(name, rate, seed) for name, rate in MOT17 for seed in range(seeds)]
    made: dict[str, Draws] = {}
    for name, members in (("mot15", mot15), ("mot17", mot17)):
        made[name] = [members]
        made[f"{name} 1/2"] = [[every(s, 2) for s in members]]
        made[f"{name} 1/5"] = [[every(s, 5) for s in members]]
        made[f"{name} shaken"] = [[shaken(s, i) for i, s in enumerate(members)]]
        made[f"{name} scores"] = [[noisy(s, i) for i, s in enumerate(members)]]
    return made


def cross_groups(seeds: int) -> dict[str, Draws]:
    """The same for `--cross`."""
    both = [way for s in (public(name, rate) for name, rate in MOT15) for way in (s, backwards(s))]
    draws = [[varied(s, seed) for s in both] for seed in range(seeds)]
    made = {"mot15 varied": draws}
    made["varied 1/2"] = [[every(s, 2) for s in draw] for draw in draws]
    made["varied 1/5"] = [[every(s, 5) for s in draw] for draw in draws]
    made["varied shaken"] = [[shaken(s, len(both) * i + j) for j, s in enumerate(draw)] for i, draw in enumerate(draws)]
    for kind, detector in DETECTORS.items():
        made[kind] = [[simulated(n, rate, seed, detector=detector) for n, rate in MOT17] for seed in range(seeds)]
    return made


def ours(recipe: str, overrides: Iterable[str] = ()) -> Update:
    """A recipe by motion alone."""
    engine = Engine(motion_only(load_recipe(recipe, overrides)))

    def update(rows: Rows, seconds: float) -> tuple[NDArray[np.int64], Rows]:
        tracks = engine.update(Detections(rows[:, :4], rows[:, 4]), timestamp=seconds)
        return tracks.id, tracks.xyxy.astype(np.float64)

    return update


def ultralytics(name: str, changes: Mapping[str, object]) -> Update:
    """One of Ultralytics' trackers with its shipped settings."""
    from ultralytics.engine.results import Boxes as Found
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML
    from ultralytics.utils.checks import check_yaml

    settings = YAML.load(check_yaml(f"{name}.yaml")) | {"gmc_method": "none", "with_reid": False} | dict(changes)
    tracker = TRACKER_MAP[settings["tracker_type"]](SimpleNamespace(**settings))

    def update(rows: Rows, _: float) -> tuple[NDArray[np.int64], Rows]:
        boxes = np.column_stack([rows, np.zeros(len(rows))]).astype(np.float32)
        out = np.asarray(tracker.update(Found(boxes, (4000, 4000))), np.float64).reshape(-1, 8)
        return out[:, 4].astype(np.int64), out[:, :4]

    return update


PEERS: dict[str, tuple[str, dict[str, object]]] = {
    "ultralytics bytetrack": ("bytetrack", {}),
    "ultralytics bytetrack, paper's settings": (
        "bytetrack",
        {"track_high_thresh": 0.6, "new_track_thresh": 0.7, "match_thresh": 0.8},
    ),
    "ultralytics botsort": ("botsort", {}),
    "ultralytics ocsort": ("ocsort", {}),
    "ultralytics fasttrack": ("fasttrack", {}),
    "ultralytics tracktrack": ("tracktrack", {}),
}


def judge(update: Update, sequence: Sequence) -> Scores:
    """Run a tracker over a sequence and score it."""
    ids, frames, boxes = [], [], []
    for index, rows in enumerate(sequence.frames):
        found, corners = update(rows, index / sequence.rate)
        ids.append(found)
        frames.append(np.full(len(found), index + 1))
        boxes.append(corners.reshape(-1, 4))
    n = sum(map(len, ids))
    result = Boxes(
        np.concatenate(frames), np.concatenate(ids), np.concatenate(boxes), np.ones(n, np.int64), np.ones(n, bool)
    )
    pairs = match_up(sequence.truth, result, len(sequence.frames))
    return score_sequence(pairs)


def of_draws(make: Callable[[], Update], draws: Draws) -> dict[str, float]:
    """Mean scores over the draws, and of HOTA and IDF1 the deviation."""
    found = [combine({f"{s.name} {i}": judge(make(), s) for i, s in enumerate(draw)}).summary() for draw in draws]
    mean = {key: float(np.mean([float(f[key]) for f in found])) for key in ("HOTA", "IDF1", "MOTA", "IDSW")}
    return mean | {f"{key} deviation": float(np.std([float(f[key]) for f in found])) for key in ("HOTA", "IDF1")}


def as_cell(s: Mapping[str, float], cross: bool) -> str:
    """Of a table."""
    if cross:
        return " ".join(f"{100 * s[key]:.1f}±{100 * s[f'{key} deviation']:.1f}" for key in ("HOTA", "IDF1"))
    return f"{100 * s['HOTA']:.1f} {100 * s['IDF1']:.1f} {100 * s['MOTA']:.1f}"


def contenders(recipes: list[str], peers: bool) -> Iterator[tuple[str, Callable[[], Update]]]:
    """Names, and how each is made anew for a sequence."""
    for recipe in recipes:
        yield f"reacquire {recipe}", lambda recipe=recipe: ours(recipe)
    if peers:
        for name, (kind, changes) in PEERS.items():
            yield name, lambda kind=kind, changes=changes: ultralytics(kind, changes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--recipes",
        nargs="+",
        default=config_names("trackers"),
    )
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--seeds", type=int, default=2, help="simulated detectors for every MOT17 sequence; draws")
    parser.add_argument("--cross", action="store_true", help="varied detections and other kinds of detectors instead")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"no data folder at {DATA}; set REACQUIRE_DATA to one")
    scenes = cross_groups(args.seeds) if args.cross else groups(args.seeds)
    print("HOTA / IDF1, in percent" if args.cross else "HOTA / IDF1 / MOTA, in percent")
    print(f"{'':<40}" + "".join(f"{group:>19}" for group in scenes))
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name, make in contenders(args.recipes, not args.no_peers):
        table[name] = {group: of_draws(make, draws) for group, draws in scenes.items()}
        print(f"{name:<40}" + "".join(f"{as_cell(s, args.cross):>19}" for s in table[name].values()), flush=True)
    if args.json:
        args.json.write_text(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
