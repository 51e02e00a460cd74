"""Every mining strategy on the same network, data and budget: `python tools/compare_mining.py --out runs/mining`.

Trains a small network with the distance loss alone (no identity loss, so that nothing hides what mining does), several
seeds a strategy, and prints mean and spread of rank-1 and mAP on the validation identities. Finished runs are kept in
`--out` and not repeated. The table in docs/triplet-mining.md comes from here.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
from pathlib import Path

import torch

from reid.train import DataSet, Stage, Trainer, TrainSettings

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data")) / "reid/market1501"
STRATEGIES: dict[str, dict[str, object]] = {
    "batch-hard, soft margin": {"mining": "batch_hard", "margin": "soft"},
    "batch-hard, margin 0.3": {"mining": "batch_hard", "margin": 0.3},
    "batch-all, margin 0.3": {"mining": "batch_all", "margin": 0.3},
    "semi-hard, margin 0.3": {"mining": "semi_hard", "margin": 0.3},
    "distance-weighted, margin 0.3": {"mining": "distance_weighted", "margin": 0.3},
    "random, margin 0.3": {"mining": "random", "margin": 0.3},
    "contrastive, margin 1": {"mining": "contrastive", "margin": 1.0},
}


def run(name: str, seed: int, args: argparse.Namespace) -> tuple[float, float]:
    """Rank-1 and mAP of one training."""
    out = args.out / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    settings = TrainSettings(
        train=(DataSet(path=str(DATA / "train")),),
        query=DataSet(path=str(DATA / "val/query")),
        gallery=DataSet(path=str(DATA / "val/gallery")),
        backbone="slimnet",
        dimension=128,
        stages=(Stage(size=(args.height, args.height // 2), epochs=args.epochs),),
        identity_weight=0.0,
        warmup_epochs=1,
        evaluate_every=args.epochs,
        ema_decay=0.99,
        seed=seed,
        **STRATEGIES[name],  # type: ignore[arg-type]
    )
    trainer = Trainer(settings, out)
    trainer.run()
    with (out / "log.csv").open() as file:
        last = list(csv.DictReader(file))[-1]
    return float(last["rank1"]), float(last["mAP"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mining"))
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    print(f"{args.epochs} epochs at {args.height}x{args.height // 2}, {args.seeds} seeds", flush=True)
    print(f"{'strategy':<32}{'rank-1':>8}{'±':>7}{'mAP':>8}{'±':>7}")
    for name in STRATEGIES:
        results = [run(name, seed, args) for seed in range(1, args.seeds + 1)]
        ranks, maps = zip(*results, strict=True)
        cells = "".join(f"{statistics.mean(v):>8.3f}{statistics.pstdev(v):>7.3f}" for v in (ranks, maps))
        print(f"{name:<32}{cells}", flush=True)


if __name__ == "__main__":
    main()
