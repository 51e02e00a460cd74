"""Train the bundled embedder, judge it, and write it as the package carries it.

python tools/train_default_embedder.py train [CONFIG]     # run it again to go on where it stopped
python tools/train_default_embedder.py evaluate           # ranks and thresholds on the validation identities
python tools/train_default_embedder.py export             # into reid/weights, threshold at FMR 1e-2
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from reid import load_embedder
from reid.judge import judge, scores_of
from reid.models import EmbeddingNetwork, create_model
from reid.runtime import sha256
from reid.train import Trainer, TrainSettings, read
from reid.weights_file import Preprocessing, save_weights, with_threshold
from tracker.config import load_settings


def trained(settings: TrainSettings, out: Path) -> tuple[EmbeddingNetwork, int]:
    """The averaged network of the last checkpoint, and its epoch."""
    state = torch.load(out / "last.pt", map_location="cpu", weights_only=True)
    identities = state["average"]["classifier.weight"].shape[0]
    network = create_model(
        settings.backbone, dimension=settings.dimension, identities=identities, pooling=settings.pooling
    )
    network.load_state_dict(state["average"])
    return network.eval(), state["epoch"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("train", "evaluate", "export"))
    parser.add_argument("config", nargs="?", type=Path, default=Path("configs/reid/default.yaml"))
    parser.add_argument("--out", type=Path, default=Path("runs/reid-default"))
    parser.add_argument("--weights", type=Path, default=Path("reid/weights/default.safetensors"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    settings = load_settings(TrainSettings, args.config)
    if args.verb == "train":
        Trainer(settings, args.out, device=args.device, report=lambda line: print(line, flush=True)).run()
    network, epoch = trained(settings, args.out)
    path = args.weights if args.verb == "export" else args.out / "weights.safetensors"
    save_weights(
        path,
        network,
        backbone=settings.backbone,
        pooling=settings.pooling,
        preprocessing=Preprocessing(settings.size_at(max(epoch - 1, 0))),
        threshold=None,
        about={"trained": f"{epoch} of {settings.epochs} epochs of {args.config.name}"},
    )
    assert settings.query is not None
    assert settings.gallery is not None
    judgement = judge(load_embedder(path), read(settings.query, "query"), read(settings.gallery, "gallery"))
    with_threshold(path, round(judgement.threshold, 3))
    print(f"epoch {epoch}; query {len(judgement.query)}, gallery {len(judgement.gallery)} crops")
    print("  ".join(f"{name} {value:.3f}" for name, value in scores_of(judgement.ranking).items()))
    print("\n".join(judgement.verification.in_words()))
    print(f"{path}: {path.stat().st_size:,} bytes, sha256 {sha256(path)}")


if __name__ == "__main__":
    main()
