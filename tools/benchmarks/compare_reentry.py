"""Who knows people again: recipes on the scenes of `make_reentry_benchmark.py`.

`python -m tools.benchmarks.compare_reentry DIR`

All are given the same detections and the same embeddings. The published trackers forget who is out of sight for a
second, so that they cannot know anybody again who was away for longer; each is therefore run a second time with the
patience of `--patient` seconds and nothing else changed. Printed for every recipe, over all scenes of the split:
- HOTA, IDF1, and CLEAR's identity switches;
- identity errors: boxes that were found, but under a track that is not the person's (IDFN + IDFP of the identity
  metric, less the missed and false boxes of CLEAR, halved: an error counts once);
- returns: how often somebody came back after a second or more out of sight, split into who was hidden and who was out
  of the picture; of these, how many got the id that they had before, and how many got the id of somebody else.

A visit is a stretch in view without a second out of sight; its id is that of the track which covers most of it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker import ConfigError, Detections, load_tracker
from tracker.benchmark.replay import as_predictions
from tracker.evaluation import clear
from tracker.evaluation.benchmarks import prepare, rules_of
from tracker.evaluation.evaluate import Scores, combine, score_sequence
from tracker.evaluation.read import read_gt
from tracker.evaluation.sequence import compute_similarity
from tracker.formats.table import Table

OURS = ("reacquire",)
PEERS = ("deepsort", "botsort", "strongsort", "deepocsort", "bytetrack")
GAP = 1.0
"""Seconds out of sight after which coming back is a return."""
LEAST = 5
"""Frames of a visit that counts."""


@dataclass(frozen=True)
class Scene:
    """Detections with embeddings of every frame, the ground truth, frames a second."""

    name: str
    frames: list[Detections]
    truth: Table
    rate: float


@dataclass(frozen=True)
class Returns:
    """How often people came back, got the id that they had, and got somebody else's."""

    hidden: int = 0
    hidden_kept: int = 0
    away: int = 0
    away_kept: int = 0
    stolen: int = 0

    def __add__(self, other: Returns) -> Returns:
        return Returns(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Judged:
    """Scores and returns of a recipe on one scene or several."""

    scores: Scores
    returns: Returns

    def summary(self) -> dict[str, float]:
        """As plain values."""
        s, r = self.scores.summary(), self.returns
        identity, found = self.scores.identity, self.scores.clear
        errors = (identity.IDFN + identity.IDFP - found.FN - found.FP) / 2
        back, kept = r.hidden + r.away, r.hidden_kept + r.away_kept
        return {
            "HOTA": s["HOTA"], "AssA": s["AssA"], "IDF1": s["IDF1"], "IDFN": identity.IDFN, "IDFP": identity.IDFP,
            "IDSW": s["IDSW"], "identity_errors": errors, "returns": back, "kept": kept, **vars(r),
        }  # fmt: skip


def load_scene(folder: Path) -> Scene:
    """One scene's folder."""
    rows = np.loadtxt(folder / "det/det.txt", delimiter=",", ndmin=2)
    with np.load(folder / "embeddings.npz") as file:
        embedding = file["embedding"]
    info = dict(line.split("=") for line in (folder / "seqinfo.ini").read_text().splitlines() if "=" in line)
    corners = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1).astype(np.float32)
    first = np.searchsorted(rows[:, 0], np.arange(1, int(info["seqLength"]) + 2))
    frames = [
        Detections(corners[a:b], rows[a:b, 6].astype(np.float32), embedding=embedding[a:b]) for a, b in pairwise(first)
    ]
    return Scene(folder.name, frames, read_gt(folder / "gt/gt.txt", rules_of("mot17")), float(info["frameRate"]))


def load_scenes(folder: Path, split: str) -> list[Scene]:
    """All scenes of a split."""
    folders = sorted(path for path in (folder / split).glob("*") if (path / "embeddings.npz").is_file())
    if not folders:
        raise SystemExit(f"no scenes at {folder / split}: run tools/benchmarks/make_reentry_benchmark.py {folder}")
    return [load_scene(path) for path in folders]


def visits(truth: Table, rate: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The visit of every row of ground truth, -1 where out of sight; for each visit whether it begins behind something.

    Visits are numbered by person, then by time.
    """
    in_sight = truth.score != 0
    order = np.lexsort((truth.frame, truth.id))
    rows = order[in_sight[order]]
    person, frame = truth.id[rows], truth.frame[rows]
    begins = np.r_[True, (np.diff(person) != 0) | (np.diff(frame) > GAP * rate)]
    visit = np.full(len(truth), -1)
    visit[rows] = np.cumsum(begins) - 1
    out = set(zip(truth.id[~in_sight].tolist(), truth.frame[~in_sight].tolist(), strict=True))
    before = zip(person[begins].tolist(), (frame[begins] - 1).tolist(), strict=True)
    return visit, np.array([key in out for key in before])


def count_returns(scene: Scene, truth: Table, result: Table) -> Returns:
    """Ids after gaps beside those before."""
    pairs = compute_similarity(truth, result, len(scene.frames))
    hit = clear.matches(pairs).pred
    visit, hidden = visits(scene.truth, scene.rate)
    visit = visit[scene.truth.score != 0]  # rows of `truth`: those that count
    track = np.where(hit >= 0, result.id[hit], -1)
    main: dict[int, int] = {}
    person: dict[int, int] = {}
    for v in range(len(hidden)):
        mine = track[visit == v]
        if len(mine) >= LEAST:
            person[v] = int(truth.id[visit == v][0])
            mine = mine[mine >= 0]
            main[v] = int(np.bincount(mine).argmax()) if len(mine) else -1
    total, ordered = Returns(), list(main)
    for before, after in pairwise(ordered):
        if person[before] != person[after]:
            continue
        kept = main[after] == main[before] != -1
        others = {main[v] for v in ordered if person[v] != person[after]} - {-1}
        one = Returns(stolen=int(not kept and main[after] in others))
        kind = {"hidden": 1, "hidden_kept": int(kept)} if hidden[after] else {"away": 1, "away_kept": int(kept)}
        total += replace(one, **kind)
    return total


def judge(recipe: str, scene: Scene, overrides: list[str]) -> Judged:
    """Run a recipe over a scene. The camera stands still, and the recipes are told so."""
    engine = load_tracker(recipe, overrides=["camera_motion=none", *overrides])
    result = as_predictions(engine.update(found, timestamp=i / scene.rate) for i, found in enumerate(scene.frames))
    truth, result = prepare(scene.truth, result, rules_of("mot17"), len(scene.frames))
    scores = score_sequence(compute_similarity(truth, result, len(scene.frames)))
    return Judged(scores, count_returns(scene, truth, result))


def compare(recipe: str, scenes: list[Scene], overrides: list[str]) -> Judged:
    """A recipe over all scenes."""
    judged = {scene.name: judge(recipe, scene, overrides) for scene in scenes}
    total = sum((j.returns for j in judged.values()), Returns())
    return Judged(combine({name: j.scores for name, j in judged.items()}), total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=("tune", "test"), default="test")
    parser.add_argument("--recipes", nargs="+", default=OURS, help="names or paths")
    parser.add_argument("--peers", nargs="*", default=PEERS, help="recipes of others, beside them")
    parser.add_argument("--patient", type=float, default=60, metavar="SECONDS", help="0 leaves these runs out")
    parser.add_argument("--set", nargs="+", default=[], metavar="key.path=value", help="laid over every recipe")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    scenes = load_scenes(args.folder, args.split)
    frames = sum(len(scene.frames) for scene in scenes)
    boxes = sum(int((scene.truth.score != 0).sum()) for scene in scenes)
    print(f"{len(scenes)} scenes ({args.split}), {frames} frames, {boxes} boxes in sight")
    print(f"{'':<24}{'HOTA':>7}{'AssA':>7}{'IDF1':>7}{'IDSW':>7}{'errors':>8}{'kept':>10}{'hidden':>10}{'away':>10}"
          f"{'stolen':>8}{'ms/frame':>10}")  # fmt: skip
    table: dict[str, dict[str, float]] = {}
    for name, recipe, overrides in contenders(args.recipes, args.peers, args.patient):
        started = time.process_time()
        try:
            s = compare(recipe, scenes, [*overrides, *args.set]).summary()
        except ConfigError as error:
            print(f"{name:<24}left out: {str(error).splitlines()[0]}")
            continue
        table[name] = s
        kept = "".join(
            f"{f'{s[a]:.0f}/{s[b]:.0f}':>10}"
            for a, b in (("kept", "returns"), ("hidden_kept", "hidden"), ("away_kept", "away"))
        )
        print(f"{name:<24}" + "".join(f"{100 * s[key]:>7.1f}" for key in ("HOTA", "AssA", "IDF1"))
              + f"{s['IDSW']:>7.0f}{s['identity_errors']:>8.0f}{kept}{s['stolen']:>8.0f}"
              f"{1e3 * (time.process_time() - started) / frames:>10.2f}", flush=True)  # fmt: skip
    if args.json:
        args.json.write_text(json.dumps(table, indent=2))


def contenders(recipes: Iterable[str], peers: Iterable[str], patient: float) -> Iterator[tuple[str, str, list[str]]]:
    """Names, recipes and what is laid over them."""
    for recipe in recipes:
        yield Path(recipe).stem, recipe, []
    for recipe in peers:
        yield Path(recipe).stem, recipe, []
        if patient:
            yield f"{Path(recipe).stem}, {patient:g} s", recipe, [f"death.lost_seconds={patient}"]


if __name__ == "__main__":
    main()
