"""Train the bundled person detector from random weights.

    python -m tools.training.pack_person_data                       # once, on any machine: runs/person-pack.npz
    python -m tools.training.train_person_detector main             # what is shipped; --seconds 600 to end by the clock
    python -m tools.training.train_person_detector series           # ablation, other networks
    python -m tools.training.train_person_detector together --seconds 500 # both at once
    python -m tools.training.train_person_detector install runs/person-detector/main.safetensors

The network and the loss are Ultralytics' (AGPL-3.0); loop and augmentation are ours, and all of it, from the stored
picture to the loss, is done on the device in batches. A run that was stopped goes on when it is started again. On a
machine without a GPU it is the same, slowly; `--tiny` tries everything in seconds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from tools.training.person.loop import DivergenceError, Length
from tools.training.person.together import Bench, command_of, together, train_main, train_series

STEPS = 3500
"""Of the run that is shipped."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("runs/person-pack.npz"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; all when 0")
    parser.add_argument("--tiny", action="store_true", help="little data, 160 pixels: does everything run?")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (("main", "train what is shipped"), ("series", "ablation"), ("together", "both at once")):
        sub = verbs.add_parser(verb, help=text)
        sub.add_argument("--out", type=Path, default=Path("runs/person-detector"))
        sub.add_argument("--seconds", type=float, help="until the end, all included")
        sub.add_argument("--steps", type=int, help=f"of main, {STEPS}; of each run of the series at most")
        sub.add_argument("--work", type=Path, help="of together: folder for checkpoints")
    sub = verbs.add_parser("install", help="put trained weights into the package")
    sub.add_argument("weights", type=Path)
    sub.add_argument("--image-size", type=int, default=512)
    sub.add_argument("--score", type=float, default=0.35)
    sub.add_argument("--trained", help="how, in words; what the weights say themselves when absent")
    args = parser.parse_args()
    if args.verb == "install":
        from tools.training.person.install import install  # needs the package, which a machine that trains may lack

        install(args.weights, args.image_size, args.score, args.trained)
        return 0
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.verb == "together":
        command = command_of(args.pack, args.device, args.seed, args.tiny)
        return together(command, args.out, args.work or args.out / "work", args.seconds or 500.0)
    try:
        train(Bench(args.pack, args.out, args.device, args.seed, args.tiny), args.verb, args.steps, args.seconds)
    except DivergenceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def train(bench: Bench, verb: str, steps: int | None, seconds: float | None) -> None:
    """The main run or the series; of the time for everything a part is needed for judging and for the speed."""
    left = seconds - bench.loading if seconds else None
    if verb == "series":
        train_series(bench, left or 1e9, steps or 1500)
    elif left:
        train_main(bench, Length(steps, left - (4.0 if bench.tiny else 35.0)))
    else:
        train_main(bench, Length(steps or STEPS))


if __name__ == "__main__":
    sys.exit(main())
