"""Crops and settings that the tests of learning share."""

import cv2
import numpy as np
import pytest

from reid.train import DataSet, Stage, TrainSettings


@pytest.fixture(scope="session")
def crops(tmp_path_factory):
    """Eight identities, each a colour, six noisy crops each from three cameras; eight others to validate on."""
    root, random = tmp_path_factory.mktemp("crops"), np.random.default_rng(0)
    for split, first in (("train", 0), ("val", 8)):
        (root / split).mkdir()
        for identity in range(first, first + 8):
            colour = random.integers(30, 225, 3)
            for image in range(6):
                noisy = np.clip(colour + random.normal(0, 12, (32, 16, 3)), 0, 255).astype(np.uint8)
                name = f"{identity + 1:04d}_c{image % 3 + 1}s1_{image:06d}_00.png"
                cv2.imwrite(str(root / split / name), noisy)
    return root


@pytest.fixture
def settings_for(crops):
    """Settings of a training that takes a second or two; keywords change them."""

    def make(**changes):
        values = {
            "train": (DataSet(path=str(crops / "train")),),
            "query": DataSet(path=str(crops / "val")),
            "gallery": DataSet(path=str(crops / "val")),
            "backbone": "slimnet_x0_5",
            "dimension": 16,
            "stages": (Stage(size=(32, 16), epochs=2), Stage(size=(48, 24), epochs=2)),
            "p": 4,
            "k": 3,
            "warmup_epochs": 1,
            "evaluate_every": 4,
        }
        return TrainSettings(**(values | changes))

    return make
