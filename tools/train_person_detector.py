"""Train the bundled person detector from random weights.

    python tools/pack_person_data.py --out runs/person-pack.npz      # once, on any machine
    python tools/train_person_detector.py --pack runs/person-pack.npz main --seconds 1800
    python tools/train_person_detector.py --pack runs/person-pack.npz main --steps 12000     # the same, by steps
    python tools/train_person_detector.py --pack runs/person-pack.npz series --seconds 1800  # ablation, other networks
    python tools/train_person_detector.py --pack runs/person-pack.npz lease --seconds 500    # both at once

The network and the loss are Ultralytics' (AGPL-3.0); loop and augmentation are ours, and all of it, from the stored
picture to the loss, is done on the device in batches. A run that was stopped goes on when it is started again. On a
machine without a GPU it is the same, slowly; `--tiny` tries everything in seconds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from person_training.lease import Bench, command_of, lease, train_main, train_series
from person_training.loop import Length


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("runs/person-pack.npz"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; all when 0")
    parser.add_argument("--tiny", action="store_true", help="little data, 160 pixels: does everything run?")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (("main", "train what is shipped"), ("series", "ablation"), ("lease", "both at once")):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("--out", type=Path, default=Path("runs/person-detector"))
        sub.add_argument("--seconds", type=float, help="until the end, all included")
        sub.add_argument("--steps", type=int, help="of main; of each run of the series at most")
        sub.add_argument("--work", type=Path, help="of lease: folder for checkpoints")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.verb == "lease":
        command = command_of(Path(__file__), args.pack, args.device, args.seed, args.tiny)
        return lease(command, args.out, args.work or args.out / "work", args.seconds or 500.0)
    bench = Bench(args.pack, args.out, args.device, args.seed, args.tiny)
    # Of the time for everything a part is needed for judging and for the speed.
    left = args.seconds - bench.loading if args.seconds else None
    if args.verb == "main":
        spare = 4.0 if args.tiny else 35.0
        train_main(bench, Length(args.steps, left - spare if left else None))
    else:
        train_series(bench, left or 1e9, args.steps or 1500)
    return 0


if __name__ == "__main__":
    sys.exit(main())
