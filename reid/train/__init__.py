"""Training of an embedding network: settings, objective, loop, log, run page."""

from reid.train.embedding import MEAN, STD, embed_crops, normalised
from reid.train.loop import Trainer
from reid.train.settings import Augmentation, DataSet, Stage, TrainSettings, read

__all__ = [
    "MEAN",
    "STD",
    "Augmentation",
    "DataSet",
    "Stage",
    "TrainSettings",
    "Trainer",
    "embed_crops",
    "normalised",
    "read",
]
