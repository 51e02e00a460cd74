"""Train the bundled embedder: `python tools/train_default_embedder.py [CONFIG] [--out DIR]`. Run it again to go on."""

import argparse
from pathlib import Path

import torch
import yaml

from reid.train import Trainer, TrainSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", type=Path, default=Path("configs/reid/default.yaml"))
    parser.add_argument("--out", type=Path, default=Path("runs/reid-default"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    settings = TrainSettings.model_validate(yaml.safe_load(args.config.read_text()))
    Trainer(settings, args.out, device=args.device, report=lambda line: print(line, flush=True)).run()


if __name__ == "__main__":
    main()
