"""One identity over six cameras: Market-1501 as the site that it was: `python -m tools.benchmarks.identity_site DATA`.

The names of its crops carry camera, sequence and frame. So it is known who walked from camera to camera when, and the
crops of a person in one camera without a gap of `--gap` seconds are a tracklet without errors. They come in the order
of their ends, through `IdentityMemory` with default settings and through the rules of others (`identity_peers`); these
once with the threshold that the weights recommend, and once with the best of all thresholds, found on the very people
that are reported.

IDF1 is over crops, precision and recall over pairs of tracklets of two cameras. A tracklet whose identity stays open is
in no pair, and its crops count as missed. The network has learnt from the people of `train`; only `val` tells how good
anything is. Embeddings are kept in `--cache`.
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reid import load_embedder
from reid.tracklets import prototype
from tools.benchmarks.identity_peers import RULES, Tracklets
from tracker.identity import IdentityMemory, MemorySettings, Tracklet

NAME = re.compile(r"(\d+)_c(\d)s(\d)_(\d+)_\d+\.jpg")
RATE = 25.0
SEQUENCE = 7200.0
"""Seconds from the beginning of one sequence to that of the next: longer than any is."""
THRESHOLDS = np.linspace(0.02, 0.9, 45)


@dataclass(frozen=True, eq=False)
class Site:
    """Tracklets in the order of their ends.

    Attributes:
        tracklets: for the memory.
        person: ``(N,)`` who they are.
        crops: ``(N,)`` how many crops each has.
    """

    tracklets: list[Tracklet]
    person: NDArray[np.int64]
    crops: NDArray[np.int64]

    def for_peers(self) -> Tracklets:
        """The same, as arrays."""
        return Tracklets(
            np.stack([prototype(t.embeddings, t.quality) for t in self.tracklets]),
            np.array([int(t.camera) for t in self.tracklets]),
            np.array([t.begin for t in self.tracklets]),
            np.array([t.end for t in self.tracklets]),
        )


@dataclass(frozen=True)
class Judged:
    """How well labels fit people."""

    idf1: float
    precision: float
    recall: float
    identities: int
    undecided: int

    def __str__(self) -> str:
        return f"{self.idf1:6.3f}{self.precision:10.3f}{self.recall:8.3f}{self.identities:7d}" + (
            f"{self.undecided:7d}" if self.undecided else ""
        )


def make_site(names: list[str], vectors: NDArray[np.float32], gap: float = 10.0) -> Site:
    """Tracklets of crops by their names.

    Args:
        names: N of Market-1501.
        vectors: ``(N, D)`` of unit length.
        gap: seconds without a crop after which a tracklet has ended.
    """
    found = [NAME.fullmatch(name) for name in names]
    columns = np.array([[int(number) for number in m.groups()] for m in found if m is not None])
    assert len(columns) == len(names), "names that are not those of Market-1501"
    person, camera, sequence, frame = columns.T
    seconds = sequence * SEQUENCE + frame / RATE
    order = np.lexsort((seconds, camera, person))
    person, camera, seconds, vectors = person[order], camera[order], seconds[order], vectors[order]
    ends = (np.diff(person) != 0) | (np.diff(camera) != 0) | (np.diff(seconds) > gap)
    parts = np.split(np.arange(len(person)), np.flatnonzero(ends) + 1)
    parts.sort(key=lambda rows: (seconds[rows[-1]], rows[0]))
    tracklets = [
        Tracklet(
            camera=str(camera[rows[0]]),
            track=track,
            begin=float(seconds[rows[0]]),
            end=float(seconds[rows[-1]]),
            embeddings=vectors[rows],
        )
        for track, rows in enumerate(parts)
    ]
    return Site(tracklets, person[[rows[0] for rows in parts]], np.array([len(rows) for rows in parts]))


def judge(site: Site, label: NDArray[np.int64]) -> Judged:
    """Score labels.

    Args:
        site: who is who.
        label: ``(N,)``; negative where it stays open.
    """
    open_ = label < 0
    person = np.unique(site.person, return_inverse=True)[1]
    known, mine = np.unique(label[~open_], return_inverse=True)
    together = np.zeros((person.max() + 1, max(len(known), 1)))
    np.add.at(together, (person[~open_], mine), site.crops[~open_])
    rows, columns = linear_sum_assignment(-together)
    covered = together[rows, columns].sum()
    camera = np.array([t.camera for t in site.tracklets])
    i, j = np.triu_indices(len(person), 1)
    across = camera[i] != camera[j]
    i, j = i[across], j[across]
    same, said = person[i] == person[j], (label[i] == label[j]) & ~open_[i] & ~open_[j]
    right = (same & said).sum()
    return Judged(
        2 * covered / (site.crops.sum() + site.crops[~open_].sum()),
        right / said.sum() if said.any() else np.nan,
        right / max(same.sum(), 1),
        len(known),
        int(open_.sum()),
    )


def remembered(
    site: Site, embedder: str | None, *, review: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels by `IdentityMemory`: what it said at once, and what it says after the last tracklet; -1 while open."""
    with IdentityMemory.open(embedder=embedder) as memory:
        at_once = [memory.observe(tracklet).identity or -1 for tracklet in site.tracklets]
        if review:
            memory.review()
        at_last = [memory.identity_of(tracklet.camera, tracklet.track) or -1 for tracklet in site.tracklets]
    return np.array(at_once), np.array(at_last)


def table(site: Site, weights: str, threshold: float | None) -> list[str]:
    """Rows of all rules."""
    peers, lines = site.for_peers(), []
    for name, rule in RULES.items():
        tuned = max((judge(site, rule(peers, value)) for value in THRESHOLDS), key=lambda judged: judged.idf1)
        if threshold is not None:
            lines.append(f"{name:<44}{judge(site, rule(peers, threshold))}")
        lines.append(f"{'  tuned on these people':<44}{tuned}")
    at_once, at_last = remembered(site, weights)
    lines.append(f"{'IdentityMemory, what it said at once':<44}{judge(site, at_once)}")
    lines.append(f"{'IdentityMemory, after the last tracklet':<44}{judge(site, at_last)}")
    lines.append(
        f"{'IdentityMemory, after one more review':<44}{judge(site, remembered(site, weights, review=True)[1])}"
    )
    lines.append(f"{'IdentityMemory, embedder without calibration':<44}{judge(site, remembered(site, None)[1])}")
    return lines


def embedded(files: list[Path], weights: str, cache: Path) -> tuple[NDArray[np.float32], float | None]:
    """Vectors of crops, computed once for each weights file; and the distance that it recommends."""
    embedder = load_embedder(weights, device="cpu")
    kept = cache / f"market-{embedder.about.sha256[:16]}-{len(files)}.npy"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(kept, embedder.embed_files(files))
    vectors = np.asarray(np.load(kept), np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return vectors, embedder.about.threshold


def crowd(count: int, each: int, dimension: int = 256, seed: int = 0) -> list[Tracklet]:
    """Tracklets of as many people, of which each is new, with so many embeddings."""
    random = np.random.default_rng(seed)
    people = random.normal(size=(count, dimension)).astype(np.float32)
    found = []
    for track, person in enumerate(people):
        vectors = person + 0.5 * random.normal(size=(each, dimension)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        begin = 60.0 * track
        found.append(Tracklet(camera=str(track % 6), track=track, begin=begin, end=begin + 20, embeddings=vectors))
    return found


def measure_speed() -> list[str]:
    """Milliseconds of processor time a decision, by how much is remembered."""
    lines = []
    for count, each in ((12_500, 8), (100_000, 1)):
        rare = MemorySettings(review_tracklets=10**9, review_seconds=1e12, keep_days=3650)
        memory = IdentityMemory.open(settings=rare)
        tracklets = crowd(count + 50, each)
        for tracklet in tracklets[:count]:
            memory._table.put(tracklet, tracklet.track + 1)  # as if it had decided so
        memory._next_identity, memory._now = count + 1, tracklets[count - 1].end
        begin = time.process_time()
        for tracklet in tracklets[count:]:
            memory.observe(tracklet)
        spent = (time.process_time() - begin) / 50
        lines.append(f"{count:>8} tracklets, {count * each:>8} embeddings: {1000 * spent:6.2f} ms a decision")
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="a folder with market1501/train and market1501/val")
    parser.add_argument("--people", choices=("train", "val"), default="val")
    parser.add_argument("--most", type=int, help="so many of them, drawn by --seed; all when absent")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gap", type=float, default=10.0, help="seconds")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/reacquire/benchmarks")
    parser.add_argument("--speed", action="store_true", help="measure what a decision costs instead")
    args = parser.parse_args()
    if args.speed:
        print(*measure_speed(), sep="\n")
        return
    if args.data is None:
        parser.error("which folder of data?")
    files = sorted((args.data / "market1501" / args.people).rglob("*.jpg"))
    vectors, threshold = embedded(files, args.weights, args.cache)
    chosen = np.ones(len(files), bool)
    if args.most:
        person = np.array([int(file.name.split("_")[0]) for file in files])
        known = np.random.default_rng(args.seed).permutation(np.unique(person))
        chosen = np.isin(person, known[: args.most])
    site = make_site([f.name for f, kept in zip(files, chosen, strict=True) if kept], vectors[chosen], args.gap)
    print(f"{len(np.unique(site.person))} people, {len(site.person)} tracklets, {site.crops.sum()} crops")
    print(f"{'':<44}{'IDF1':>6}{'precision':>10}{'recall':>8}{'ids':>7}{'open':>7}")
    print(*table(site, args.weights, threshold), sep="\n")


if __name__ == "__main__":
    main()
