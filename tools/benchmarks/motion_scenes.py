"""What trackers are compared on by motion alone: sequences with ground truth, and what else could have been seen.

Four sets of groups, every group a list of draws, every draw the sequences that are scored together:
- real: real detections alone. First the published setting: the second halves of MOT17's training sequences with
  YOLOX-X as ByteTrack trained it for its ablation (on the first halves), scored by MOT17's rules; again with every
  second and every fourth frame, backwards, and with the camera motion that BoT-SORT's authors published. Then a small
  network's detections (YOLOv8n) of the four views of CAMPUS's auditorium, two times 20 seconds of each; and SORT's
  public detections (Faster R-CNN) of MOT15, at the full and at half the frame rate;
- plain: SORT's public detections of the MOT15 sequences whose ground truth the data folder has, and ground truth of
  MOT17 seen by a simulated detector (misses in runs, jitter, scores that fall with occlusion, false boxes); each again
  with every second and every fifth frame only, with a shaking camera, and with noise on the scores;
- cross: these forwards and backwards, in several draws of nearly the same detections, at every phase of the lower frame
  rates, with detections lost, people unseen in runs, a wrong frame rate told; and other kinds of simulated detectors;
- tracked: the MOT15 sequences without ground truth in the data folder (moving cameras, small people), where what a
  tracker makes of all their detections is the truth, and all others see less: fewer frames, fewer detections. No
  tracker is judged by a truth of its own package: it would have its habits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.evaluation.benchmarks import rules_of
from tracker.evaluation.read import read_gt
from tracker.formats.seqinfo import read_sequence_info
from tracker.formats.table import Table, make_table

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
Rows = NDArray[np.float64]
Update = Callable[[Rows, float], tuple[NDArray[np.int64], Rows]]


@dataclass(frozen=True)
class Sequence:
    """Detections of a sequence and what is true of it.

    Attributes:
        name: of the sequence.
        frames: of each frame ``(N, 5)``, corners and score.
        truth: the ground truth.
        rate: frames a second.
        maker: whose output the truth is; empty for annotated truth.
        benchmark: whose rules say what counts.
        camera: ``(F, 2, 3)`` of each frame how the camera moved since the one before, for whoever can take it.
    """

    name: str
    frames: list[Rows]
    truth: Table
    rate: float
    maker: str = ""
    benchmark: str = "none"
    camera: NDArray[np.float64] | None = None


Maker = Callable[[Sequence], Update]
"""Makes a tracker anew for a sequence."""

NOBODY = make_table(frame=[], id=[], xyxy=[])


def boxes_of(rows: Rows) -> Table:
    """MOT rows as ground truth."""
    corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
    return make_table(frame=rows[:, 0] - 1, id=rows[:, 1], xyxy=corners)


def detections(name: str) -> list[Rows]:
    """SORT's detections of a MOT15 sequence, frame by frame."""
    found = np.loadtxt(DATA / "mot15" / name / "det/det.txt", delimiter=",")
    frames = []
    for frame in range(1, int(found[:, 0].max()) + 1):
        rows = found[found[:, 0] == frame]
        frames.append(np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6], np.clip(rows[:, 6], 0, 1)]))
    return frames


def public(name: str, rate: float) -> Sequence:
    """A MOT15 sequence with SORT's detections."""
    truth = np.loadtxt(DATA / "mot15" / name / "gt/gt.txt", delimiter=",")
    truth = truth[truth[:, 6] != 0]
    truth = truth[np.argsort(truth[:, 0], kind="stable")]
    frames, last = detections(name), int(truth[:, 0].max())
    frames += [np.empty((0, 5))] * (last - len(frames))
    return Sequence(name, frames[:last], boxes_of(truth), rate)


def yolox(name: str, rate: float) -> Sequence:
    """The second half of a MOT17 sequence with YOLOX-X's detections, which never saw it, and all its ground truth."""
    folder = DATA / "mot17"
    found = np.loadtxt(folder / "yolox_x" / f"{name}.txt", delimiter=",")
    truth = read_gt(folder / name / "gt/gt.txt", rules_of("mot17"))
    length = int(truth.frame.max()) + 1
    half = length // 2
    frames = []
    for frame in range(half + 1, length + 1):
        rows = found[found[:, 0] == frame]
        frames.append(np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6], np.clip(rows[:, 6], 0, 1)]))
    truth = truth.take(truth.frame >= half)
    truth = replace(truth, frame=truth.frame - half)
    return Sequence(name, frames, truth, rate, benchmark="mot17")


def auditorium(view: str, first: int, frames: int = 600) -> Sequence:
    """Some frames, from `first` on, of a view of CAMPUS's auditorium: what YOLOv8n sees of it."""
    folder = DATA / "multicam/campus-auditorium" / view
    found = np.loadtxt(folder / "det/det.txt", delimiter=",")
    truth = read_gt(folder / "gt/gt.txt", rules_of("none"))
    truth = truth.take((truth.frame >= first - 1) & (truth.frame < first - 1 + frames))
    truth = replace(truth, frame=truth.frame - (first - 1))
    rows = [found[found[:, 0] == frame] for frame in range(first, first + frames)]
    seen = [np.column_stack([r[:, 2:4], r[:, 2:4] + r[:, 4:6], np.clip(r[:, 6], 0, 1)]) for r in rows]
    return Sequence(view, seen, truth, 30)


def with_camera(sequence: Sequence) -> Sequence:
    """The second half of a MOT17 sequence, with the camera motion that was published for it."""
    moved = np.loadtxt(DATA / "mot17/camera_motion" / f"{sequence.name}.txt")[:, 1:7].reshape(-1, 2, 3)
    length = len(sequence.frames)
    half = int(read_sequence_info(DATA / "mot17" / sequence.name).length) // 2
    return replace(sequence, camera=moved[half : half + length])


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
    return Sequence(name, frames, boxes_of(truth), rate)


def every(sequence: Sequence, step: int, first: int = 0) -> Sequence:
    """Only every so many frames, from frame `first` on; what is left keeps its time."""
    index = sequence.truth.frame - first
    truth = sequence.truth.take((index >= 0) & (index % step == 0))
    truth = replace(truth, frame=(truth.frame - first) // step)
    return replace(sequence, frames=sequence.frames[first::step], truth=truth, rate=sequence.rate / step)


def shaken(sequence: Sequence, seed: int, pixels: float = 8) -> Sequence:
    """A hand-held camera: everything moves together, smoothly, by so many pixels a frame."""
    chance = np.random.default_rng(seed)
    noise = chance.normal(0, 1, (len(sequence.frames) + 8, 2))
    shift = pixels * np.array([noise[i : i + 4].mean(0) for i in range(len(sequence.frames))])
    frames = [np.c_[rows[:, :4] + np.tile(s, 2), rows[:, 4:]] for rows, s in zip(sequence.frames, shift, strict=True)]
    t = sequence.truth
    truth = replace(t, xyxy=t.xyxy + np.tile(shift[t.frame], 2))
    return replace(sequence, frames=frames, truth=truth)


def noisy(sequence: Sequence, seed: int, deviation: float = 0.15) -> Sequence:
    """Scores that tell less."""
    chance = np.random.default_rng(seed)
    frames = []
    for rows in sequence.frames:
        score = np.clip(rows[:, 4] + chance.normal(0, deviation, len(rows)), 0.02, 1)
        frames.append(np.c_[rows[:, :4], score])
    return replace(sequence, frames=frames)


def backwards(sequence: Sequence) -> Sequence:
    """Time runs the other way: who comes, goes."""
    t = sequence.truth
    frame = len(sequence.frames) - 1 - t.frame
    truth = replace(t, frame=frame).take(np.argsort(frame, kind="stable"))
    return replace(sequence, name=f"{sequence.name} backwards", frames=sequence.frames[::-1], truth=truth)


def varied(sequence: Sequence, seed: int) -> Sequence:
    """Another draw of nearly the same detections."""
    chance = np.random.default_rng(1000 + seed)
    frames = []
    for rows in sequence.frames:
        kept = rows[chance.random(len(rows)) > 0.03].copy()
        kept[:, :4] += chance.normal(0, 0.01, (len(kept), 4)) * (kept[:, 3] - kept[:, 1])[:, None]
        frames.append(kept)
    return replace(sequence, frames=frames)


def thinned(sequence: Sequence, seed: int, share: float = 0.2) -> Sequence:
    """A share of the detections is missing, here and there."""
    chance = np.random.default_rng(5000 + seed)
    return replace(sequence, frames=[rows[chance.random(len(rows)) > share] for rows in sequence.frames])


def blinded(sequence: Sequence, seed: int) -> Sequence:
    """Now and then a place of half a person's height stays unseen, from 2 to 9 frames on end."""
    chance = np.random.default_rng(7000 + seed)
    spots = np.empty((0, 4))  # x, y, height, frames left
    frames = []
    for rows in sequence.frames:
        x, y, height = (rows[:, 0] + rows[:, 2]) / 2, (rows[:, 1] + rows[:, 3]) / 2, rows[:, 3] - rows[:, 1]
        if len(rows) and chance.random() < 0.15:
            j = chance.integers(len(rows))
            spots = np.vstack([spots, [x[j], y[j], height[j], chance.integers(2, 10)]])
        off = np.maximum(abs(x[:, None] - spots[:, 0]), abs(y[:, None] - spots[:, 1]))
        frames.append(rows[~(off < spots[:, 2] / 2).any(axis=1)])
        spots[:, 3] -= 1
        spots = spots[spots[:, 3] > 0]
    return replace(sequence, frames=frames)


def told(sequence: Sequence, rate: float) -> Sequence:
    """The same frames, but the tracker is told another frame rate."""
    return replace(sequence, rate=rate)


def tracked(name: str, rate: float, maker: str, make: Maker) -> Sequence:
    """A MOT15 sequence whose truth is what a tracker makes of it: tracks of 8 frames and 0.8 s, gaps closed."""
    frames = detections(name)
    seen: dict[int, list[list[float]]] = {}
    update = make(Sequence(name, frames, NOBODY, rate))
    for index, rows in enumerate(frames):
        for who, box in zip(*update(rows, index / rate), strict=True):
            seen.setdefault(int(who), []).append([index + 1.0, *box])
    rows_of = []
    for identity, found in seen.items():
        known = np.array(found)
        if len(known) >= max(8, 0.8 * rate):
            frame = np.arange(known[0, 0], known[-1, 0] + 1)
            corners = [np.interp(frame, known[:, 0], known[:, c]) for c in range(1, 5)]
            rows_of.append(np.column_stack([frame, np.full(len(frame), identity), *corners]))
    truth = np.concatenate(rows_of)
    boxes = make_table(frame=truth[:, 0] - 1, id=truth[:, 1], xyxy=truth[:, 2:])
    return Sequence(name, frames, boxes, rate, maker)


MOT15 = (("TUD-Campus", 25), ("TUD-Stadtmitte", 25))
MOT17 = (("MOT17-05", 14), ("MOT17-09", 30))
YOLOX = (("MOT17-02", 30), ("MOT17-05", 14), ("MOT17-09", 30), ("MOT17-11", 30))
AUDITORIUM = ("HC3", "HC4", "IP2", "IP5")
UNLABELLED = (
    ("ADL-Rundle-6", 30), ("ADL-Rundle-8", 30), ("ETH-Bahnhof", 14), ("ETH-Pedcross2", 14), ("ETH-Sunnyday", 14),
    ("KITTI-13", 10), ("KITTI-17", 10), ("Venice-2", 30),
)  # fmt: skip
Draws = list[list[Sequence]]


def real_groups() -> dict[str, Draws]:
    """Real detections, the published setting first; a draw for each phase of a lower frame rate."""
    strong, weak = [yolox(name, rate) for name, rate in YOLOX], [public(name, rate) for name, rate in MOT15]
    made: dict[str, Draws] = {"mot17-yolox": [strong], "mot17-yolox camera": [[with_camera(s) for s in strong]]}
    for step in (2, 4):
        made[f"mot17-yolox 1/{step}"] = [[every(s, step, first) for s in strong] for first in range(step)]
    made["mot17-yolox backwards"] = [[backwards(s) for s in strong]]
    made["campus-yolov8n"] = [[auditorium(view, first) for view in AUDITORIUM] for first in (900, 3300)]
    made["mot15"] = [weak]
    made["mot15 1/2"] = [[every(s, 2, first) for s in weak] for first in range(2)]
    return made


def plain_groups(seeds: int) -> dict[str, Draws]:
    """The sequences as they are, and perturbed once; `seeds` simulated detectors look at MOT17."""
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
    """Many draws of each group; `seeds` times as many where chance makes them."""
    ways = [[public(name, rate) for name, rate in MOT15]]
    ways.append([backwards(s) for s in ways[0]])
    more = [[varied(s, seed) for s in way] for seed in range(seeds) for way in ways]
    often = [(seed, way) for seed in range(seeds) for way in ways]
    made: dict[str, Draws] = {"mot15": ways + more}
    for step in (2, 3, 5):
        made[f"mot15 1/{step}"] = [[every(s, step, first) for s in way] for way in ways for first in range(step)]
    made["mot15 1/2"] += [[every(s, 2, i % 2) for s in way] for i, way in enumerate(more)]
    for name, change in (("shaken", shaken), ("scores", noisy)):  # a seed for each sequence
        made[f"mot15 {name}"] = [[change(s, 2 * i + j) for j, s in enumerate(w)] for i, (_, w) in enumerate(often)]
    made["mot15 told 30"] = [[told(s, 30) for s in way] for way in ways + more]
    made["mot15 thinned"] = [[thinned(s, seed) for s in way] for seed, way in often]
    made["mot15 blinded"] = [[blinded(s, seed) for s in way] for seed, way in often]
    for kind, detector in DETECTORS.items():
        made[kind] = [[simulated(n, rate, 10 + i, detector=detector) for n, rate in MOT17] for i in range(seeds)]
    usual = made["usual"]
    made["usual 1/2"] = [[every(s, 2, i % 2) for s in draw] for i, draw in enumerate(usual)]
    made["usual 1/5"] = [[every(s, 5, i % 5) for s in draw] for i, draw in enumerate(usual)]
    made["usual shaken"] = [[shaken(s, 2 * i + j) for j, s in enumerate(draw)] for i, draw in enumerate(usual)]
    return made


def tracked_groups(makers: Mapping[str, Maker]) -> dict[str, Draws]:
    """A draw for each of the makers of a truth."""
    whole = [[tracked(name, rate, maker, make) for name, rate in UNLABELLED] for maker, make in makers.items()]
    made: dict[str, Draws] = {f"tracked 1/{n}": [[every(s, n) for s in draw] for draw in whole] for n in (2, 3, 5)}
    made["tracked thinned"] = [[thinned(s, i) for i, s in enumerate(draw)] for draw in whole]
    made["tracked blinded"] = [[blinded(s, i) for i, s in enumerate(draw)] for draw in whole]
    return made


def only(groups: Mapping[str, Draws], names: list[str], *, without: bool = False) -> dict[str, Draws]:
    """The groups with these sequences alone, or with all but these; those that nothing is left of are gone."""
    kept = {
        group: [[s for s in draw if (s.name.removesuffix(" backwards") in names) != without] for draw in draws]
        for group, draws in groups.items()
    }
    return {group: draws for group, draws in kept.items() if all(draws)}
