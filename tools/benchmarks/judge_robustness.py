"""Embedders on crops as other cameras would show them.

`python -m tools.benchmarks.judge_robustness default other.safetensors`

The validation crops of Market-1501 again, changed on the way into the network; ranks fall by what it has not learnt to
look past. A stand-in for data that nobody has seen, not a replacement. The changes, drawn with a fixed seed:
- tint: each camera's red, green and blue scaled by 0.8 to 1.2, as a white balance does;
- gamma: each camera's exponent of brightness between 0.55 and 1.8;
- grey: no colour at all;
- coarse: 30 % of the resolution, which leaves 38×19 pixels of 128×64;
- shift: boxes off by up to 15 % of each side, and up to 25 % too large or small.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reid.data.augment import Views, apply
from reid.data.crops import read_crops
from reid.data.cropset import CropSet
from reid.data.pair import that_are_looked_for, that_may_be_found
from reid.data.sets import read_set
from reid.embedder import Embedder, load_embedder
from reid.evaluate import cosine, rank
from reid.judge import retrieval_of, scores_of

DATA = Path(os.environ.get("REACQUIRE_DATA", "../shared/data")) / "reid/market1501/val"
CHANGES = ("none", "tint", "gamma", "grey", "coarse", "shift")
CAMERAS = 20


def views(change: str, crops: CropSet, size: tuple[int, int], seed: int) -> Views:
    """What happens to each crop; what a camera does to all of its own is the same for query and gallery."""
    n, (height, width) = len(crops), size
    cameras, own = np.random.default_rng(0), np.random.default_rng(seed)
    move = np.tile(np.eye(2, 3, dtype=np.float32), (n, 1, 1))
    ones = np.ones(n, np.float32)
    tint, gamma, coarse, grey = np.ones((n, 3), np.float32), ones, ones, np.zeros((n, 4), np.float32)
    if change == "tint":
        tint = (1 + 0.2 * cameras.uniform(-1, 1, (CAMERAS, 3)))[crops.camera].astype(np.float32)
    elif change == "gamma":
        gamma = np.exp(0.6 * cameras.uniform(-1, 1, CAMERAS))[crops.camera]
    elif change == "grey":
        grey = np.tile(np.array([0, height, 0, width], np.float32), (n, 1))
    elif change == "coarse":
        coarse = 0.3 * ones
    elif change == "shift":
        move[:, [0, 1], [0, 1]] = 1 + 0.25 * own.uniform(-1, 1, (n, 1))
        move[:, :, 2] = 0.3 * own.uniform(-1, 1, (n, 2))
    fields = (move, coarse, np.ones((n, 3)), tint, gamma, grey, np.zeros((n, 4)), np.zeros((n, 1, 1, 1)))
    return Views(*(torch.from_numpy(np.asarray(field, np.float32)) for field in fields))


def embedded(embedder: Embedder, crops: Tensor, drawn: Views) -> NDArray[np.float32]:
    """``(N, D)`` of crops ``(N, 3, H, W)`` uint8 that were changed."""
    height, width = crops.shape[2:]
    seen = (apply(crops.float() / 255, drawn) * 255).round().to(torch.uint8)
    images = np.ascontiguousarray(seen.flip(1).permute(0, 2, 3, 1).numpy())  # BGR
    whole = np.array([[0, 0, width, height]], np.float32)
    return np.concatenate(
        [
            v
            for part in np.split(images, range(64, len(images), 64))
            for v in embedder.embed_batch(list(part), [whole] * len(part))
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", help="names or files")
    args = parser.parse_args()
    query = that_are_looked_for(read_set("market1501", DATA / "query", "query"))
    gallery = that_may_be_found(read_set("market1501", DATA / "gallery", "gallery"))
    print(f"{'rank-1 / mAP':<20}" + "".join(f"{change:>16}" for change in CHANGES))
    for name in args.weights:
        embedder = load_embedder(name, device="cpu")
        size = embedder.about.preprocessing.size
        pixels = [(crops, read_crops(crops.paths, size)) for crops in (query, gallery)]
        row = f"{Path(name).stem:<20}"
        for change in CHANGES:
            vectors = [
                embedded(embedder, image, views(change, crops, size, seed))
                for seed, (crops, image) in enumerate(pixels)
            ]
            scores = scores_of(rank(retrieval_of(query, gallery), cosine(*vectors)))
            row += f"{scores['rank1']:>8.3f} / {scores['mAP']:.3f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
