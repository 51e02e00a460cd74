"""Calibrate the bundled embedder: odds from people and cameras that it did not learn from, and the quality of crops.

    python -m tools.training.calibrate_default_embedder reid/weights/default.safetensors \\
        --left-out cuhk01=runs/left-out/judged.safetensors --runs runs/track/vtest runs/track/crowd-from-above

By the weights themselves: Market-1501's validation (other people, known cameras) and PKU-Reid, which the recipe leaves
out. `--left-out` adds a data set that the weights did learn from, by those of the same training that left it out. Runs
are of `reacquire track` with the default detector: their tracks teach which crops are good.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from reid import load_embedder
from reid.calibration import SIZES, Calibration, PairCounts, write_calibration
from reid.calibration.measure import count_labelled
from reid.calibration.quality import Quality
from reid.calibration.stream import from_own_track
from reid.data.sets import read_set
from tools.training.embedder.people import LABELLED
from tracker.cli.reid_runs import looked_at, read_run

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))
OWN = {"Market-1501 validation": "market1501/val", "PKU-Reid": "pku/train"}
"""Folders below reid/ that the weights are measured on themselves."""


def odds(weights: Path, left_out: list[str]) -> Calibration:
    """The pairs of all data sets as one calibration."""
    counts, words = PairCounts.none(), []
    embedder = load_embedder(weights, device="cpu")
    for name, folder in OWN.items():
        crops = read_set("market1501", DATA / "reid" / folder)
        counts += count_labelled(embedder, [crops])
        words.append(f"{name}, {len(np.unique(crops.identity[crops.identity > 0]))} people")
    for text in left_out:
        name, _, file = text.partition("=")
        crops = read_set(LABELLED[name], DATA / "reid" / name / "train")
        counts += count_labelled(load_embedder(file, device="cpu"), [crops])
        words.append(f"{name}, {len(np.unique(crops.identity))} people, by weights that left it out")
    return Calibration.fitted(counts, {"data": "; ".join(words)})


def quality(weights: Path, runs: list[Path]) -> Quality | None:
    """Which crops are good, learned among those of each track."""
    embedder = load_embedder(weights, device="cpu")
    cues, distances, people = [], [], []
    for number, folder in enumerate(runs):
        run = read_run(folder)
        rows, looked = looked_at(run, embedder)
        cues.append(looked.cues)
        distances.append(from_own_track(run.boxes, rows, looked.vector))
        people.append(run.boxes.track[rows] * len(runs) + number)
    return Quality.fitted(np.concatenate(cues), np.concatenate(distances), np.concatenate(people)) if runs else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--left-out", nargs="*", default=[], metavar="NAME=WEIGHTS", help=f"of {', '.join(LABELLED)}")
    parser.add_argument("--runs", nargs="*", type=Path, default=[], metavar="RUN", help="of `reacquire track`")
    parser.add_argument("--out", type=Path, help="a .json; into the weights without it")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    made = replace(odds(args.weights, args.left_out), quality=quality(args.weights, args.runs))
    for across in (False, True):
        print("across cameras" if across else "within a camera", [made.pairs(across=across, size=n) for n in SIZES])
    print(f"{write_calibration(args.out or args.weights, made)}: written")


if __name__ == "__main__":
    main()
