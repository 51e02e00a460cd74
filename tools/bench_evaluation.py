"""Speed of the evaluation beside the official evaluator and motmetrics: `python tools/bench_evaluation.py`.

One made sequence, the same for all; each contender in turn, seconds are medians. The overlaps of boxes are part of
our time and of nobody else's.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import motmetrics
import numpy as np
from trackeval.metrics import CLEAR, HOTA
from trackeval.metrics import Identity as OfficialIdentity

from tracker.evaluation import clear, hota, identity
from tracker.evaluation.sequence import Boxes, Sequence, match_up


def made(frames: int, objects: int) -> tuple[Boxes, Boxes]:
    """People who walk in a wide place; a tracker that misses, jitters and switches."""
    random = np.random.default_rng(0)
    place, speed = random.uniform(0, 4000, (objects, 2)), random.normal(0, 2, (objects, 2))
    offset = random.integers(0, 5, objects)
    rows, found = [], []
    for t in range(frames):
        corner = place + t * speed
        box = np.concatenate([corner, corner + np.array([40, 100])], axis=1)
        rows += [(t + 1, i + 1, *box[i]) for i in range(objects)]
        seen = np.flatnonzero(random.random(objects) > 0.1)
        jitter = random.normal(0, 4, (objects, 4))
        found += [(t + 1, i + 1 + objects * ((t // 100 + offset[i]) % 5), *(box[i] + jitter[i])) for i in seen]
    return _boxes(np.array(rows)), _boxes(np.array(found))


def _boxes(rows: np.ndarray) -> Boxes:
    n = len(rows)
    return Boxes(rows[:, 0].astype(int), rows[:, 1].astype(int), rows[:, 2:], np.ones(n, int), np.ones(n, bool))


def run_ours(truth: Boxes, result: Boxes, frames: int) -> None:
    sequence = match_up(truth, result, frames)
    clear.clear(sequence)
    identity.identity(sequence)
    hota.hota(sequence)


def run_official(sequence: Sequence) -> None:
    data = {
        "num_timesteps": len(sequence),
        "num_gt_dets": sequence.truth_boxes,
        "num_tracker_dets": sequence.result_boxes,
        "num_gt_ids": sequence.truths,
        "num_tracker_ids": sequence.results,
        "gt_ids": [f.truth for f in sequence.frames],
        "tracker_ids": [f.result for f in sequence.frames],
        "similarity_scores": [f.similarity for f in sequence.frames],
    }
    quiet = {"PRINT_CONFIG": False}
    for metric in (HOTA(), CLEAR(quiet), OfficialIdentity(quiet)):
        metric.eval_sequence(data)


def run_motmetrics(sequence: Sequence) -> None:
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in sequence.frames:
        distance = np.where(frame.similarity >= 0.5, 1 - frame.similarity, np.nan)
        accumulator.update(frame.truth, frame.result, distance)
    motmetrics.metrics.create().compute(accumulator, metrics=motmetrics.metrics.motchallenge_metrics)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    truth, result = made(args.frames, args.objects)
    sequence = match_up(truth, result, args.frames)
    contenders: dict[str, Callable[[], None]] = {
        "reacquire (CLEAR, Identity, HOTA)": lambda: run_ours(truth, result, args.frames),
        "trackeval (CLEAR, Identity, HOTA)": lambda: run_official(sequence),
        "motmetrics (CLEAR, Identity)": lambda: run_motmetrics(sequence),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(args.repeats):
        for name, contender in contenders.items():
            started = time.process_time()
            contender()
            times[name].append(time.process_time() - started)
    print(f"{platform.platform()}, {os.cpu_count()} cores; {args.frames} frames of {args.objects} objects")
    ours = statistics.median(times["reacquire (CLEAR, Identity, HOTA)"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<36}{median:>8.2f} s{median / ours:>8.1f}x")


if __name__ == "__main__":
    main()
