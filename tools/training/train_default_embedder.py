"""Train the bundled embedder by triplets and from a teacher, judge it on unseen cameras, and write it into the package.

    python -m tools.training.train_default_embedder views --shards 100  # once, again for more; beside a training too
    python -m tools.training.train_default_embedder train --minutes 60  # run it again to go on where it stopped
    python -m tools.training.train_default_embedder train --minutes 20 --without cuhk01 pku --out runs/left-out
    python -m tools.training.train_default_embedder judge runs/left-out/last.pt default
    python -m tools.training.train_default_embedder export runs/reid-default/last.pt

Views and the teacher's vectors of them lie in --views, made once. `train --without` leaves data sets out, with labels
and crops, so that `judge` can say how the recipe does on cameras that it has never seen. A finished training is the
beginning of a longer one: `--from` takes weights files.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from reid import load_embedder
from reid.data.sets import CropSet, read_set
from reid.embedder import weights_path
from reid.judge import judge, scores_of
from reid.models import EmbeddingNetwork, create_model
from reid.runtime import sha256
from reid.weights_file import Preprocessing, read_metadata, save_weights, with_threshold
from tools.training.embedder.judge import JUDGED, Embed, judged, ranking_of
from tools.training.embedder.loop import Settings, Training
from tools.training.embedder.objective import Weights
from tools.training.embedder.people import everybody
from tools.training.embedder.shards import make_shard, read_views, shards_in, write_people
from tools.training.embedder.start import fit_head, take
from tools.training.embedder.teacher import MODEL, Teacher
from tools.training.embedder.views import STUDENT, TEACHER, Chance
from tracker.yaml_file import read_yaml

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data"))


def views(args: argparse.Namespace) -> None:
    """Shards of views that are not there yet."""
    args.views.mkdir(parents=True, exist_ok=True)
    people = everybody(DATA)
    write_people(args.views, people)
    print(f"{len(people):,} people in {len({p.source for p in people})} sources", flush=True)
    teacher = Teacher(DATA / MODEL)
    for number in range(args.first, args.first + args.shards):
        if number not in shards_in(args.views):
            make_shard(args.views, number, people, teacher, Chance())
            print(f"shard {number}", flush=True)


def train(args: argparse.Namespace) -> None:
    """The recipe of a file, from weights to weights."""
    recipe = read_yaml(args.config)
    given = {name: getattr(args, name) for name in ("backbone", "from", "minutes", "steps", "rate", "seed", "frozen")}
    recipe |= {name: value for name, value in given.items() if value is not None}
    backbone, start = recipe.pop("backbone"), recipe.pop("from")
    terms = Weights(**recipe.pop("terms", {}) | dict(_weight(text) for text in args.term))
    settings = Settings(**recipe, without=tuple(args.without), terms=terms)
    torch.manual_seed(settings.seed)
    network = create_model(backbone)
    if not (args.out / "last.pt").exists():
        begin(network, start, args.views, settings.without)
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "backbone").write_text(backbone)
    training = Training(network, args.views, args.out, settings)
    parameters = sum(p.numel() for p in network.parameters())
    print(f"{backbone}, {parameters:,} parameters, {len(training.views):,} views", flush=True)
    training.run()


def begin(network: EmbeddingNetwork, start: str, folder: Path, without: tuple[str, ...]) -> None:
    """Weights to begin with, and a head for the teacher's vectors where they have none."""
    learnt = None
    if start != "nothing":
        path = weights_path(start)
        take(network, path)
        learnt = read_metadata(path).get("teacher")
    if learnt != MODEL.stem:
        fit_head(network, read_views(folder, shards_in(folder)[:8], without=without))


def _weight(text: str) -> tuple[str, float]:
    name, value = text.split("=")
    return name, float(value)


def averaged(checkpoint: Path) -> tuple[EmbeddingNetwork, str, str]:
    """The averaged network of a checkpoint, its backbone's name, and how far it is, in words."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    backbone = (checkpoint.parent / "backbone").read_text()
    network = create_model(backbone)
    network.load_state_dict(state["average"])
    return network.eval(), backbone, f"{state['seen']:,} views in {state['seconds'] / 60:.0f} minutes"


def write(checkpoint: Path, path: Path) -> None:
    """A checkpoint as a weights file, without a threshold."""
    network, backbone, trained = averaged(checkpoint)
    about = {"trained": trained, "teacher": MODEL.stem}
    size = Preprocessing(STUDENT)
    save_weights(path, network, backbone=backbone, pooling="gem", preprocessing=size, threshold=None, about=about)


def judge_all(args: argparse.Namespace) -> None:
    """Rank-1 and mAP of checkpoints, weights files, names, and `teacher`, on every data set."""
    print(f"{'rank-1 / mAP':<40}" + "".join(f"{name:>16}" for name in args.only or JUDGED))
    for name in args.weights:
        row = f"{name[-38:]:<40}"
        embed = _eyes(name)
        for data in args.only or JUDGED:
            ranking = ranking_of(judged(DATA, data), embed)
            row += f"{ranking.cmc[0]:>8.3f} / {ranking.mean_ap:.3f}"
        print(row, flush=True)


def _eyes(name: str) -> Embed:
    """Of a checkpoint, a weights file, or the teacher."""
    if name == "teacher":
        teacher = Teacher(DATA / MODEL)
        size = TEACHER[::-1]

        def look(crops: CropSet) -> NDArray[np.float32]:
            images = [cv2.resize(np.asarray(cv2.imread(str(path)), np.uint8), size) for path in crops.paths]
            return np.asarray(teacher(np.asarray(images, np.uint8)), np.float32)

        return look
    path = Path(name)
    if path.suffix == ".pt":
        path = path.with_name("judged.safetensors")
        write(Path(name), path)
    embedder = load_embedder(str(path), device="cpu")
    return lambda crops: embedder.embed_files(crops.paths)


def export(args: argparse.Namespace) -> None:
    """Into the package, with the threshold of one wrong match in a hundred on the validation identities."""
    write(Path(args.weights[0]), args.to)
    query, gallery = (read_set("market1501", DATA / "reid/market1501/val" / role) for role in ("query", "gallery"))
    judgement = judge(load_embedder(str(args.to), device="cpu"), query, gallery)
    with_threshold(args.to, round(judgement.threshold, 3))
    print("  ".join(f"{name} {value:.3f}" for name, value in scores_of(judgement.ranking).items()))
    print("\n".join(judgement.verification.in_words()))
    print(f"{args.to}: {args.to.stat().st_size:,} bytes, sha256 {sha256(args.to)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    verbs = parser.add_subparsers(dest="verb", required=True)
    seen = argparse.ArgumentParser(add_help=False)
    seen.add_argument("--views", type=Path, default=Path("runs/reid-views"), help="folder of views and vectors")
    sub = verbs.add_parser("views", parents=[seen], help="make views and the teacher's vectors of them")
    sub.add_argument("--shards", type=int, default=100, help="of 4,096 views")
    sub.add_argument("--first", type=int, default=0, help="number of the first")
    sub.set_defaults(run=views)
    sub = verbs.add_parser("train", parents=[seen], help="train, or go on")
    sub.add_argument("--config", type=Path, default=Path("configs/reid/distilled.yaml"))
    sub.add_argument("--out", type=Path, default=Path("runs/reid-default"))
    sub.add_argument("--minutes", type=float, help="of the whole training")
    sub.add_argument("--steps", type=int, help="instead of minutes")
    sub.add_argument("--rate", type=float)
    sub.add_argument("--seed", type=int)
    sub.add_argument("--frozen", type=int, help="layers from the first that stay as they are")
    sub.add_argument("--backbone")
    sub.add_argument("--from", metavar="WEIGHTS", help="file or name; `nothing` for random weights")
    sub.add_argument("--without", nargs="*", default=[], help="data sets to leave out")
    sub.add_argument("--term", action="append", default=[], metavar="NAME=WEIGHT", help="of the loss")
    sub.set_defaults(run=train)
    sub = verbs.add_parser("judge", help="rank-1 and mAP on every data set")
    sub.add_argument("weights", nargs="+", help="checkpoints, weights files, `default`, `teacher`")
    sub.add_argument("--only", nargs="*", choices=list(JUDGED))
    sub.set_defaults(run=judge_all)
    sub = verbs.add_parser("export", help="into the package")
    sub.add_argument("weights", nargs=1)
    sub.add_argument("--to", type=Path, default=Path("reid/weights/default.safetensors"))
    sub.set_defaults(run=export)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()
