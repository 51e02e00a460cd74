"""Speed of the evaluation beside the official evaluator, Roboflow's and motmetrics.

`python -m tools.benchmarks.bench_evaluation`

1. One made sequence, from boxes to CLEAR, Identity and HOTA, once with people far apart and once in a crowd. Everyone
   finds the overlaps of boxes in their own way; motmetrics, which cannot, is given ours.
2. From files to scores: a set of the size of MOT17's training split (7 sequences, 5,316 frames), made of the data
   folder's MOT17-05 and MOT17-09 and a published tracker's results on them (`REACQUIRE_DATA`; left out without it).

Seconds of processor time, medians; every contender's scores are shown, so that all are seen to do the same.
Roboflow's `trackers` is measured where it is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import motmetrics
import numpy as np
import trackeval
from trackeval.metrics import CLEAR, HOTA
from trackeval.metrics import Identity as OfficialIdentity

from tracker.evaluation.evaluate import evaluate, score_sequence
from tracker.evaluation.sequence import FrameSimilarity, Sequence, compute_similarity
from tracker.formats.table import Table, make_table

QUIET = {"PRINT_CONFIG": False}
Shown = dict[str, float]
# Frames and boxes of pedestrians in MOT17's training sequences.
SPLIT = {"02": (600, 18581), "04": (1050, 47557), "05": (837, 6917), "09": (525, 5325),
         "10": (654, 12839), "11": (900, 9436), "13": (750, 11642)}  # fmt: skip


def made(frames: int, objects: int, side: float) -> tuple[Table, Table]:
    """People who walk in a square place; a tracker that misses, jitters and switches."""
    random = np.random.default_rng(0)
    place, speed = random.uniform(0, side, (objects, 2)), random.normal(0, 2, (objects, 2))
    offset = random.integers(0, 5, objects)
    rows, found = [], []
    for t in range(frames):
        corner = (place + t * speed) % side
        box = np.concatenate([corner, corner + np.array([40, 100])], axis=1)
        rows += [(t, i + 1, *box[i]) for i in range(objects)]
        seen = np.flatnonzero(random.random(objects) > 0.1)
        jitter = random.normal(0, 4, (objects, 4))
        found += [(t, i + 1 + objects * ((t // 100 + offset[i]) % 5), *(box[i] + jitter[i])) for i in seen]
    return _boxes(np.array(rows)), _boxes(np.array(found))


def _boxes(rows: np.ndarray) -> Table:
    return make_table(frame=rows[:, 0], id=rows[:, 1], xyxy=rows[:, 2:])


def run_ours(truth: Table, result: Table, frames: int) -> Shown:
    summary = score_sequence(compute_similarity(truth, result, frames)).summary()
    return {name: summary[name] for name in ("HOTA", "MOTA", "IDF1")}


def run_official(sequence: Sequence, boxes: list[tuple[FrameSimilarity, np.ndarray, np.ndarray]]) -> Shown:
    overlap = trackeval.datasets.MotChallenge2DBox._calculate_box_ious
    data = {
        "num_timesteps": len(sequence),
        "num_gt_dets": sequence.num_gt_dets,
        "num_tracker_dets": sequence.num_pred_dets,
        "num_gt_ids": sequence.num_gt_ids,
        "num_tracker_ids": sequence.num_pred_ids,
        "gt_ids": [frame.gt for frame, _, _ in boxes],
        "tracker_ids": [frame.pred for frame, _, _ in boxes],
        "similarity_scores": [overlap(truth, result, box_format="x0y0x1y1") for _, truth, result in boxes],
    }
    hota, clear, identity = (m.eval_sequence(data) for m in (HOTA(), CLEAR(QUIET), OfficialIdentity(QUIET)))
    return {"HOTA": hota["HOTA"].mean(), "MOTA": clear["MOTA"], "IDF1": identity["IDF1"]}


def run_roboflow(boxes: list[tuple[FrameSimilarity, np.ndarray, np.ndarray]]) -> Shown:
    from trackers.eval import box_iou, compute_clear_metrics, compute_hota_metrics, compute_identity_metrics

    overlaps = [box_iou(truth, result, box_format="xyxy") for _, truth, result in boxes]
    data = [frame.gt for frame, _, _ in boxes], [frame.pred for frame, _, _ in boxes], overlaps
    hota, clear, identity = (f(*data) for f in (compute_hota_metrics, compute_clear_metrics, compute_identity_metrics))
    return {"HOTA": hota["HOTA"], "MOTA": clear["MOTA"], "IDF1": identity["IDF1"]}


def run_motmetrics(frames: list[FrameSimilarity]) -> Shown:
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in frames:
        distance = np.where(frame.similarity >= 0.5, 1 - frame.similarity, np.nan)
        accumulator.update(frame.gt, frame.pred, distance)
    row = motmetrics.metrics.create().compute(accumulator, metrics=motmetrics.metrics.motchallenge_metrics).iloc[0]
    return {"MOTA": row["mota"], "IDF1": row["idf1"]}


def has_roboflow() -> bool:
    try:
        import trackers.eval  # noqa: F401
    except ImportError:
        return False
    return True


def compare(contenders: dict[str, Callable[[], Shown]], repeats: int) -> None:
    """All in turn, several times; a line each."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    shown: dict[str, Shown] = {}
    for name, contender in contenders.items():
        shown[name] = contender()  # what is compiled or loaded at the first call is not measured
    for _ in range(repeats):
        for name, contender in contenders.items():
            started = time.process_time()
            contender()
            times[name].append(time.process_time() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    ours = next(iter(medians.values()))
    for name, median in medians.items():
        scores = "  ".join(f"{metric} {100 * value:.4f}" for metric, value in shown[name].items())
        print(f"  {name:<44}{median:>8.3f} s{median / ours:>8.1f}x   {scores}")


def one_sequence(frames: int, objects: int, side: float, repeats: int) -> None:
    truth, result = made(frames, objects, side)
    sequence = compute_similarity(truth, result, frames)
    matchups = list(sequence.frames)
    spans = [np.split(b.xyxy, b.offsets(frames)[1:-1]) for b in (truth, result)]
    boxes = list(zip(matchups, *spans, strict=True))
    contenders: dict[str, Callable[[], Shown]] = {
        "reacquire": lambda: run_ours(truth, result, frames),
        "trackeval": lambda: run_official(sequence, boxes),
    }
    if has_roboflow():
        contenders["Roboflow trackers"] = lambda: run_roboflow(boxes)
    contenders["motmetrics (CLEAR, Identity)"] = lambda: run_motmetrics(matchups)
    pairs = len(sequence.pair_pred) / frames
    print(f"{frames} frames of {objects} objects in {side:g}x{side:g} px, {pairs:.0f} overlapping pairs a frame")
    compare(contenders, repeats)


def make_split(data: Path, folder: Path) -> None:
    """Sequences of MOT17's lengths and numbers of boxes: copies of what is there, beside each other and later."""
    sources = []
    for name in ("MOT17-05", "MOT17-09"):
        truth = np.loadtxt(data / f"mot17/{name}/gt/gt.txt", delimiter=",")
        sources.append((truth, np.loadtxt(data / f"mot17/tracks-LifT/{name}.txt", delimiter=",")))
    (folder / "results").mkdir()
    for number, (length, boxes) in SPLIT.items():
        rows: list[np.ndarray] = []
        found: list[np.ndarray] = []
        copy = count = 0
        while count < boxes:
            truth, result = sources[copy % 2]
            shift = np.array([-(copy // 2) * 97.0, copy * 10_000.0, copy * 31.0, copy * 17.0])
            last = truth[:, 0].max()
            for part, source in ((rows, truth), (found, result)):
                moved = source.copy()
                moved[:, 0] = (moved[:, 0] - 1 + shift[0]) % last + 1
                moved[:, 1:4] += shift[1:]
                part.append(moved[moved[:, 0] <= length])
            count += int(((rows[-1][:, 6] == 1) & (rows[-1][:, 7] == 1)).sum())
            copy += 1
        (folder / f"gt/MOT17-{number}/gt").mkdir(parents=True)
        formats = ["%d", "%d", "%.10g", "%.10g", "%.10g", "%.10g", "%g", "%d", "%.10g"]
        np.savetxt(folder / f"gt/MOT17-{number}/gt/gt.txt", np.concatenate(rows), fmt=formats, delimiter=",")
        info = f"[Sequence]\nname=MOT17-{number}\nseqLength={length}\nimWidth=1920\nimHeight=1080\nframeRate=30\n"
        (folder / f"gt/MOT17-{number}/seqinfo.ini").write_text(info)
        result = np.concatenate(found)
        np.savetxt(folder / f"results/MOT17-{number}.txt", result, fmt="%.10g", delimiter=",")


def official_files(folder: Path) -> Shown:
    """The official evaluator's own reader, rules and metrics."""
    where = folder / "trackers/mine/data"
    if not where.exists():
        where.parent.mkdir(parents=True)
        where.symlink_to(folder / "results")
    config = {"GT_FOLDER": str(folder / "gt"), "TRACKERS_FOLDER": str(folder / "trackers"), "SKIP_SPLIT_FOL": True,
              "BENCHMARK": "MOT17", "SEQ_INFO": {f"MOT17-{n}": None for n in SPLIT}, **QUIET}  # fmt: skip
    dataset = trackeval.datasets.MotChallenge2DBox(config)
    found: dict[str, dict[str, Any]] = {"HOTA": {}, "MOTA": {}, "IDF1": {}}
    metrics = dict(zip(found, (HOTA(), CLEAR(QUIET), OfficialIdentity(QUIET)), strict=True))
    with contextlib.redirect_stdout(io.StringIO()):
        for number in SPLIT:
            raw = dataset.get_raw_seq_data("mine", f"MOT17-{number}")
            data = dataset.get_preprocessed_seq_data(raw, "pedestrian")
            for name, metric in metrics.items():
                found[name][number] = metric.eval_sequence(data)
    combined = {name: metric.combine_sequences(found[name]) for name, metric in metrics.items()}
    return {name: float(np.mean(combined[name][name])) for name in found}


def roboflow_files(folder: Path) -> Shown:
    """Roboflow's own reader, rules and metrics."""
    from trackers.eval import evaluate_mot_sequences

    found = evaluate_mot_sequences(folder / "gt", folder / "results", metrics=["CLEAR", "HOTA", "Identity"]).aggregate
    if found.HOTA is None or found.CLEAR is None or found.Identity is None:
        raise ValueError("the evaluator left out a metric that it was asked for")
    return {"HOTA": found.HOTA.HOTA, "MOTA": found.CLEAR.MOTA, "IDF1": found.Identity.IDF1}


def our_files(folder: Path) -> Shown:
    summary = evaluate(folder / "gt", folder / "results", benchmark="mot17")["combined"].summary()
    return {name: summary[name] for name in ("HOTA", "MOTA", "IDF1")}


def whole_split(data: Path, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_split(data, folder)
        counted = evaluate(folder / "gt", folder / "results", benchmark="mot17")["combined"].count
        size = f"{counted.Frames:,} frames, {counted.GT_Dets:,} true boxes that count"
        print(f"from files: {len(SPLIT)} sequences, {size}")
        contenders = {"reacquire": lambda: our_files(folder), "trackeval": lambda: official_files(folder)}
        if has_roboflow():
            contenders["Roboflow trackers"] = lambda: roboflow_files(folder)
        compare(contenders, repeats)
        arguments = ["eval", "--gt", folder / "gt", "--pred", folder / "results", "-b", "mot17", "--json", "-"]
        command = [sys.executable, "-c", "from tracker.cli import main; main()", *map(str, arguments)]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        print(f"  reacquire eval, from the shell{time.perf_counter() - started:>22.3f} s (wall)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--objects", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores; CLEAR, Identity and HOTA")
    for side in (4000.0, 600.0):
        one_sequence(args.frames, args.objects, side, args.repeats)
    data = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
    if (data / "mot17").is_dir():
        whole_split(data, args.repeats)


if __name__ == "__main__":
    main()
