"""Every mining strategy on the same network, data and budget.

`python -m tools.benchmarks.compare_mining --out runs/mining`

Trains a small network with the distance loss alone (no identity loss, so that nothing hides what mining does), several
seeds a strategy, and scores it on identities that it has not seen. Finished runs in `--out` are not repeated,
interrupted ones go on. Writes results.json and curves.svg there and prints the table of docs/triplet-mining.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from reid.charts import COLOURS, Series, chart
from reid.distance import pairwise
from reid.miners import Triplets, relations
from reid.train import DataSet, Stage, Trainer, TrainSettings
from reid.train.objective import Features, Objective

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data")) / "reid/market1501"
WRONG = "farthest negative (a common mistake)"
STRATEGIES: dict[str, dict[str, object]] = {
    "batch-hard, margin 0.3": {"mining": "batch_hard", "margin": 0.3},
    "batch-hard, soft margin": {"mining": "batch_hard", "margin": "soft"},
    "batch-all, margin 0.3": {"mining": "batch_all", "margin": 0.3},
    "semi-hard, one a pair, margin 0.3": {"mining": "semi_hard", "margin": 0.3},
    "semi-hard, all, squared, margin 0.2": {"mining": "semi_hard_all", "margin": 0.2, "distance": "squared"},
    "distance-weighted, margin 0.3": {"mining": "distance_weighted", "margin": 0.3},
    "offline, anew every epoch, margin 0.3": {"mining": "offline", "margin": 0.3},
    "random, margin 0.3": {"mining": "random", "margin": 0.3},
    "contrastive, margin 1": {"triplet_weight": 0.0, "contrastive_weight": 1.0},
}
TRAPS: dict[str, dict[str, object]] = {
    "batch-hard on vectors of any length": {"mining": "batch_hard", "margin": "soft", "triplet_feature": "raw"},
    WRONG: {"mining": "batch_hard", "margin": 0.3},
}
"""What goes wrong; shown with one seed."""


class FarthestNegative(Objective):
    """Batch-hard as a popular tutorial has it: the hardest negative is taken to be the farthest one, and a second term
    with the wrong sign pulls it closer than the positive."""

    def forward(
        self, features: Features, labels: Tensor, triplets: Triplets | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        _, parts = super().forward(features, labels, triplets)
        distance = pairwise(nn.functional.normalize(features.normal))
        same, other = relations(labels)
        positive = distance.masked_fill(~same, -torch.inf).max(1).values
        negative = distance.masked_fill(~other, -torch.inf).max(1).values
        loss = (positive - negative + 0.3).clamp_min(0).mean() + (negative - positive).mean()
        return loss, parts | {"loss": float(loss.detach()), "triplet": float(loss.detach())}


def run(name: str, seed: int, args: argparse.Namespace) -> list[dict[str, float]]:
    """Every epoch's figures of one training; none where it is not finished and nothing is to be trained."""
    out = args.out / f"{''.join(c if c.isalnum() else '-' for c in name)}-{seed}"
    if not args.finished:
        train(name, seed, out, args)
    if not (out / "log.csv").exists():
        return []
    with (out / "log.csv").open() as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    return rows if len(rows) == args.epochs else []


def train(name: str, seed: int, out: Path, args: argparse.Namespace) -> None:
    """One training, to its end."""
    settings = TrainSettings(
        train=(DataSet(path=str(DATA / "train"), identities=args.identities),),
        query=DataSet(path=str(DATA / "val/query")),
        gallery=DataSet(path=str(DATA / "val/gallery")),
        backbone="slimnet_x0_5",
        dimension=128,
        stages=(Stage(size=(args.height, args.height // 2), epochs=args.epochs),),
        identity_weight=0.0,
        warmup_epochs=1,
        evaluate_every=2,
        ema_decay=0.98,
        seed=seed,
        threads=args.threads,
        **(STRATEGIES | TRAPS)[name],
    )
    trainer = Trainer(settings, out)
    if name == WRONG:
        trainer.learner.objective = FarthestNegative(settings, 0)
    trainer.run()


def curves(results: dict[str, list[list[dict[str, float]]]]) -> str:
    """mAP over epochs, the mean of the seeds; the best at the end first."""
    series = []
    for name, runs in results.items():
        judged = [[row for row in rows if "mAP" in row] for rows in runs]
        epochs = [row["epoch"] for row in judged[0]]
        colour = dict(zip(TRAPS, ("#111", "#aaa"), strict=True)).get(name)
        scores = np.mean([[row["mAP"] for row in rows] for rows in judged], axis=0)
        series.append(Series(name, epochs, scores, colour=colour or COLOURS[list(STRATEGIES).index(name)]))
    series.sort(key=lambda s: -float(np.asarray(s.y)[-1]))
    return chart("mAP on identities not trained on", series, x_label="epoch", width=760, height=520)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mining"))
    parser.add_argument("--identities", type=int, default=250, help="of the training set's 551")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--height", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--finished", action="store_true", help="train nothing, report what is finished")
    args = parser.parse_args()
    # Seed by seed: an interrupted comparison is a whole one with fewer seeds.
    results: dict[str, list[list[dict[str, float]]]] = {name: [] for name in STRATEGIES | TRAPS}
    for seed in range(1, args.seeds + 1):
        for name in STRATEGIES | (TRAPS if seed == 1 else {}):
            if rows := run(name, seed, args):
                results[name].append(rows)
                print(f"seed {seed}  {name:<40} rank-1 {rows[-1]['rank1']:.3f}  mAP {rows[-1]['mAP']:.3f}", flush=True)
    results = {name: runs for name, runs in results.items() if runs}
    (args.out / "results.json").write_text(json.dumps(results, indent=1))
    (args.out / "curves.svg").write_text(curves(results), encoding="utf-8")
    print(f"\n{args.identities} identities, {args.epochs} epochs at {args.height}×{args.height // 2}\n")
    print("| strategy | rank-1 | mAP | hard triplets at the end | seeds |\n|---|---|---|---|---|")
    for name, runs in results.items():
        cells = []
        for score in ("rank1", "mAP"):
            values = [rows[-1][score] for rows in runs]
            spread = f" ± {statistics.pstdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.3f}{spread}")
        hard = statistics.mean(rows[-1]["all_hard"] for rows in runs)
        print(f"| {name} | {' | '.join(cells)} | {100 * hard:.1f} % | {len(runs)} |")


if __name__ == "__main__":
    main()
