"""A training in small: it learns, and a killed one goes on as if nothing had been."""

import csv

import cv2
import numpy as np
import pytest
import torch

from reid.errors import ConfigError
from reid.train import DataSet, Stage, Trainer, TrainSettings, read


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Eight identities, each a colour, six noisy crops each from three cameras."""
    root, random = tmp_path_factory.mktemp("crops"), np.random.default_rng(0)
    for split, first in (("train", 0), ("val", 8)):
        for identity in range(first, first + 8):
            colour = random.integers(30, 225, 3)
            for image in range(6):
                noisy = np.clip(colour + random.normal(0, 12, (32, 16, 3)), 0, 255).astype(np.uint8)
                name = f"{identity + 1:04d}_c{image % 3 + 1}s1_{image:06d}_00.png"
                (root / split).mkdir(exist_ok=True)
                cv2.imwrite(str(root / split / name), noisy)
    return root


def settings_for(crops, **changes):
    values = {
        "train": (DataSet(path=str(crops / "train")),),
        "query": DataSet(path=str(crops / "val")),
        "gallery": DataSet(path=str(crops / "val")),
        "backbone": "osnet_x0_25",
        "dimension": 16,
        "stages": (Stage(size=(32, 16), epochs=2), Stage(size=(48, 24), epochs=2)),
        "identities": 4,
        "images": 3,
        "warmup_epochs": 1,
        "evaluate_every": 4,
    }
    return TrainSettings(**(values | changes))


def log_of(folder):
    with (folder / "log.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_learns_to_tell_colours_apart(crops, tmp_path):
    trainer = Trainer(settings_for(crops, stages=(Stage(size=(32, 16), epochs=8),), ema_decay=0.5), tmp_path)
    trainer.run()
    rows = log_of(tmp_path)
    assert float(rows[-1]["identity"]) < float(rows[0]["identity"])
    assert float(rows[-1]["rank1"]) > 0.5  # one in eight by chance


def test_a_killed_training_goes_on_to_the_bit(crops, tmp_path):
    whole = Trainer(settings_for(crops), tmp_path / "whole").run()
    killed = Trainer(settings_for(crops), tmp_path / "killed")
    for _ in range(2):
        row = killed._train_epoch()
        killed.epoch += 1
        killed._save()
        killed._log(row)
    killed._train_epoch()  # lost with the kill
    resumed = Trainer(settings_for(crops), tmp_path / "killed").run()
    assert log_of(tmp_path / "whole") == log_of(tmp_path / "killed")
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_an_unknown_format_lists_those_there_are():
    with pytest.raises(ConfigError, match="'imagenet' is unknown; there are: market1501"):
        read(DataSet(format="imagenet", path="x"))


def test_collapse_is_told(crops, tmp_path):
    said = []
    trainer = Trainer(settings_for(crops, triplet_feature="raw"), tmp_path, report=said.append)
    with torch.no_grad():
        trainer.network.project.weight.fill_(1.0)  # every picture in one direction
    trainer.settings = settings_for(crops, rate=1e-12, triplet_feature="raw")
    trainer._train_epoch()
    assert any("collapsed" in line for line in said)


@pytest.mark.parametrize("mining", ["batch_all", "semi_hard", "distance_weighted", "random", "contrastive"])
def test_every_mining_strategy_trains(crops, tmp_path, mining):
    trainer = Trainer(settings_for(crops, mining=mining, stages=(Stage(size=(32, 16), epochs=1),)), tmp_path)
    row = trainer._train_epoch()
    assert np.isfinite(row["triplet"])
    assert row["triplet"] > 0


def test_a_soft_margin_needs_listed_triplets(crops):
    with pytest.raises(ValueError, match="batch_all needs a number as margin"):
        settings_for(crops, mining="batch_all", margin="soft")
