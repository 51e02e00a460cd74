"""Mining and its loss beside pytorch-metric-learning: `python -m tools.benchmarks.bench_mining`.

Forward and backward of each strategy on the same embeddings (512 dimensions, four images an identity), the
contenders in turn; milliseconds are medians, memory is the peak above the start in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

DIMENSION, IMAGES, MARGIN = 512, 4, 0.2
STRATEGIES = ("batch_hard", "batch_all", "semi_hard", "distance_weighted")


def ours(strategy: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The strategy in this package, from embeddings to loss."""
    from reid.distance import pairwise
    from reid.losses import all_triplets_loss, triplet_loss
    from reid.miners import batch_hard, distance_weighted

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        distance = pairwise(x, metric="squared" if strategy == "semi_hard" else "euclidean")
        if strategy == "batch_hard":
            return triplet_loss(distance, batch_hard(distance, labels), margin=MARGIN, reduction="nonzero")
        if strategy == "distance_weighted":
            triplets = distance_weighted(distance, labels, dimension=DIMENSION)
            return triplet_loss(distance, triplets, margin=MARGIN, reduction="nonzero")
        only: Literal["all", "semi-hard"] = "semi-hard" if strategy == "semi_hard" else "all"
        return all_triplets_loss(distance, labels, margin=MARGIN, only=only).loss

    return loss


def theirs(strategy: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The same in pytorch-metric-learning."""
    from pytorch_metric_learning import distances, losses, miners, reducers

    lp = distances.LpDistance(normalize_embeddings=False, power=2 if strategy == "semi_hard" else 1)
    function = losses.TripletMarginLoss(MARGIN, distance=lp, reducer=reducers.AvgNonZeroReducer())
    miners_by_name: dict[str, Callable[[], Any]] = {
        "batch_hard": lambda: miners.BatchHardMiner(distance=lp),
        "batch_all": lambda: None,
        "semi_hard": lambda: miners.TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard", distance=lp),
        "distance_weighted": lambda: miners.DistanceWeightedMiner(cutoff=0.5, nonzero_loss_cutoff=1.4),
    }
    miner = miners_by_name[strategy]()

    def loss(x: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = function(x, labels, miner(x, labels) if miner is not None else None)
        return value

    return loss


def measure(who: str, strategy: str, size: int, seconds: float) -> dict[str, float]:
    """Milliseconds and peak memory of forward and backward."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    labels = torch.arange(size) // IMAGES
    base = torch.randn(size // IMAGES, DIMENSION)[labels] + 1.2 * torch.randn(size, DIMENSION)
    x = torch.nn.functional.normalize(base).requires_grad_()
    function = (ours if who == "ours" else theirs)(strategy)
    before = peak()
    times: list[float] = []
    until = time.monotonic() + seconds
    while len(times) < 3 or time.monotonic() < until:
        started = time.perf_counter()
        function(x, labels).backward()
        times.append(time.perf_counter() - started)
        x.grad = None
    return {"ms": 1e3 * statistics.median(times[1:]), "MB": peak() - before}


def peak() -> float:
    """Peak memory so far, MB."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(next(s for s in status.read_text().splitlines() if s.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--seconds", type=float, default=1.0, help="per measurement")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        who, strategy, size = args.job
        print(json.dumps(measure(who, strategy, int(size), args.seconds)))
        return
    print(f"{'strategy':<20}{'batch':>6}{'ours ms':>10}{'PML ms':>10}{'ratio':>8}{'ours MB':>9}{'PML MB':>9}")
    for strategy in STRATEGIES:
        for size in args.sizes:
            pair = []
            for who in ("ours", "theirs"):
                command = [
                    sys.executable,
                    "-m",
                    "tools.benchmarks.bench_mining",
                    "--seconds",
                    str(args.seconds),
                    "--job",
                    who,
                    strategy,
                    str(size),
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                pair.append(
                    json.loads(done.stdout) if done.returncode == 0 else {"ms": float("nan"), "MB": float("nan")}
                )
            a, b = pair
            row = f"{a['ms']:>10.2f}{b['ms']:>10.2f}{b['ms'] / a['ms']:>8.1f}{a['MB']:>9.0f}{b['MB']:>9.0f}"
            print(f"{strategy:<20}{size:>6}{row}", flush=True)


if __name__ == "__main__":
    main()
