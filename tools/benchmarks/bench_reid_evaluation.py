"""Time and memory of judging an embedder: `python -m tools.benchmarks.bench_reid_evaluation`.

Made vectors, 20,000 gallery × 3,000 queries of 256 dimensions unless told otherwise. Each task runs in a process of its
own; memory is the most that it held, what Python and its libraries take among it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from reid.evaluate import Retrieval, cosine, rank
from reid.rerank import Reranker
from reid.verify import verify
from tracker.processes import end_with_parent

TASKS = ("vectors alone", "CMC, mAP, mINP", "verification", "re-ranking, then CMC, mAP, mINP")


def made(random: np.random.Generator, centres: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Noisy vectors of some identities, seen by six cameras."""
    identity = random.integers(0, len(centres), count)
    vectors = centres[identity] + 2.6 * random.normal(size=(count, centres.shape[1])).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), identity + 1, random.integers(0, 6, count)


def run(task: str, queries: int, gallery: int, dimension: int) -> tuple[float, float, str]:
    """Seconds, peak megabytes, and what came out."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(750, dimension)).astype(np.float32)
    (q, qi, qc), (g, gi, gc) = (made(random, centres, n) for n in (queries, gallery))
    retrieval, distances = Retrieval(qi, gi, qc, gc), cosine(q, g)
    started = time.perf_counter()
    found = ""
    if task == "verification":
        found = ", ".join(f"FNMR {p.false_non_match_rate:.3f}" for p in verify(retrieval, distances).points)
    elif task != "vectors alone":
        ranking = rank(retrieval, Reranker(q, g) if task.startswith("re-ranking") else distances)
        found = f"rank-1 {ranking.cmc[0]:.3f}, mAP {ranking.mean_ap:.3f}"
    seconds = time.perf_counter() - started
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=3000)
    parser.add_argument("--gallery", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=256)
    args = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores")
    print(f"{args.gallery:,} gallery x {args.queries:,} queries, {args.dimension} dimensions")
    for task in TASKS:
        context = multiprocessing.get_context("spawn")  # a process of its own, for its peak of memory
        with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
            seconds, peak, found = pool.submit(run, task, args.queries, args.gallery, args.dimension).result()
        print(f"{task:<34}{seconds:>7.1f} s{peak:>7.0f} MB  {found}")


if __name__ == "__main__":
    main()
