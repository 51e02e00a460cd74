"""A data set to tune on where there are no frames: `python -m tools.benchmarks.simulate_detections OUT`.

The two MOT15 sequences of the data folder with ground truth and public detections, and its two MOT17 sequences as a
simulated detector sees them (see `motion_scenes.simulated`), in MOTChallenge's layout. Ground truth holds what
counts alone, so that `reacquire mot … --benchmark none` scores all four.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np

from tools.benchmarks.motion_scenes import DATA, Rows, simulated

SEQUENCES = (("MOT17-05", 14, (640, 480)), ("MOT17-09", 30, (1920, 1080)))


def as_text(frame: int, who: int, corners: Rows, score: float) -> str:
    """A row of MOTChallenge's format."""
    left, top, right, bottom = corners
    return f"{frame},{who},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.4f},1,1\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        for part in ("det", "gt"):
            shutil.copytree(DATA / "mot15" / name / part, args.out / name / part)
        last = int(np.loadtxt(DATA / "mot15" / name / "gt/gt.txt", delimiter=",")[:, 0].max())
        info = f"[Sequence]\nname={name}\nframeRate=25\nseqLength={last}\nimWidth=640\nimHeight=480\n"
        (args.out / name / "seqinfo.ini").write_text(info)
    for name, rate, size in SEQUENCES:
        sequence = simulated(name, rate, args.seed, size)
        folder = args.out / name
        (folder / "det").mkdir(parents=True)
        (folder / "gt").mkdir()
        found = [as_text(f, -1, row[:4], row[4]) for f, rows in enumerate(sequence.frames, 1) for row in rows]
        (folder / "det/det.txt").write_text("".join(found))
        t = sequence.truth
        true = [as_text(f + 1, i, box, 1) for f, i, box in zip(t.frame, t.id, t.xyxy, strict=True)]
        (folder / "gt/gt.txt").write_text("".join(true))
        shutil.copy(DATA / "mot17" / name / "seqinfo.ini", folder / "seqinfo.ini")


if __name__ == "__main__":
    main()
