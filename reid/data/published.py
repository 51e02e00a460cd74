"""Published re-identification data sets, as their owners' archives lay them out.

Each reader takes the archive's top folder and a split, or one of the folders of crops inside it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from reid.data.cropset import CropSet, Split, by_name, contents, images_in
from reid.errors import DataError

MARKET_FOLDERS: dict[Split, str] = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
VERI_FOLDERS: dict[Split, str] = {"train": "image_train", "query": "image_query", "gallery": "image_test"}
NAME = r"(?P<identity>-?\d+)_c(?P<camera>\d+)"


def _folder(root: Path, folders: dict[Split, str], split: Split | None) -> Path:
    """The folder of a split where `root` is an archive's top; else `root` itself, a folder of crops."""
    if not any((root / name).is_dir() for name in (folders["train"], folders["gallery"])):
        return root
    if split is None:
        raise DataError(f"{root}: holds {contents(root)}; name one of {', '.join(folders.values())}, or give the split")
    if not (root / folders[split]).is_dir():
        raise DataError(f"{root}: expected {folders[split]}/ in it, found {contents(root)}")
    return root / folders[split]


def market1501(folder: str | Path, split: Split | None = None) -> CropSet:
    """Market-1501 (Zheng et al., ICCV 2015): ``0002_c1s1_000451_03.jpg``; -1 is junk, 0000 a distractor."""
    paths = images_in(_folder(Path(folder), MARKET_FOLDERS, split))
    return by_name(paths, NAME, "0002_c1s1_000451_03.jpg")


def dukemtmc(folder: str | Path, split: Split | None = None) -> CropSet:
    """DukeMTMC-reID (Zheng et al., ICCV 2017): Market-1501's folders, names ``0001_c2_f0046182.jpg``."""
    return by_name(images_in(_folder(Path(folder), MARKET_FOLDERS, split)), NAME + r"_f\d+", "0001_c2_f0046182.jpg")


def veri776(folder: str | Path, split: Split | None = None) -> CropSet:
    """VeRi-776 (Liu et al., ECCV 2016): image_train, image_query, image_test; ``0001_c001_00016450_0.jpg``."""
    return by_name(images_in(_folder(Path(folder), VERI_FOLDERS, split)), NAME, "0001_c001_00016450_0.jpg")


def cuhk03(folder: str | Path, split: Split | None = None) -> CropSet:
    """CUHK03 (Li et al., CVPR 2014), the labelled or the detected boxes: one of its folders, not both.

    Names are those of the new protocol, ``0001_c1_1.png`` in Market-1501's folders (Zhong et al., CVPR 2017), or
    those of the usual extraction from its .mat file, ``1_001_1_01.png``: pair of cameras, identity, view, number.
    """
    root = Path(folder)
    both = [name for name in ("labeled", "detected", "images_labeled", "images_detected") if (root / name).is_dir()]
    if both:
        raise DataError(f"{root}: labelled and detected boxes show the same people; name one of {', '.join(both)}")
    paths = images_in(_folder(root, MARKET_FOLDERS, split))
    extracted = [re.match(r"(\d+)_(\d+)_([12])_(\d+)", path.name) for path in paths]
    if extracted[0] is None:
        crops = by_name(paths, NAME, "0001_c1_1.png or 1_001_1_01.png")
        return CropSet(crops.paths, crops.identity + 1, crops.camera)  # it has no distractors: 0 is a person
    numbers = []
    for path, match in zip(paths, extracted, strict=True):
        if match is None:
            raise DataError(f"{path}: expected a name like 1_001_1_01.png, as the others have")
        numbers.append([int(n) for n in match.groups()])
    pair, person, view, _ = np.array(numbers, np.int64).T
    return CropSet(tuple(paths), pair * 10_000 + person, 2 * (pair - 1) + view - 1)


def msmt17(folder: str | Path, split: Split | None = None) -> CropSet:
    """MSMT17 (Wei et al., CVPR 2018), either version, by its lists: ``0000/0000_000_01_0303morning_0008_0.jpg 0``.

    The list says the identity, from 0 (here from 1, for 0 means a distractor); the third part of the name says the
    camera. Its validation images belong to training, as usual.
    """
    root = Path(folder)
    if split is None:
        raise DataError(f"{root}: MSMT17 is read by its lists; give the top folder and a split: train, query, gallery")
    lists = [root / f"list_{name}.txt" for name in (("train", "val") if split == "train" else (split,))]
    kind = "train" if split == "train" else "test"
    crops = next((root / name for name in (kind, f"mask_{kind}_v2") if (root / name).is_dir()), None)
    if crops is None or not lists[0].is_file():
        raise DataError(
            f"{root}: expected {lists[0].name} and a folder {kind}/ or mask_{kind}_v2/ in it, found {contents(root)}"
        )
    paths, identity, camera = [], [], []
    for file in (f for f in lists if f.is_file()):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            match = re.fullmatch(r"(\S+/\d+_\d+_(\d+)_\S+)\s+(\d+)\s*", line)
            if match is None:
                raise DataError(f"{file}, line {number}: expected `0000/0000_000_01_0303morning_0008_0.jpg 0`")
            paths.append(crops / match[1])
            camera.append(int(match[2]) - 1)
            identity.append(int(match[3]) + 1)
    if missing := next((p for p in paths if not p.is_file()), None):
        raise DataError(f"{missing}: named by {lists[0].parent.name}'s lists, but not there")
    return CropSet(tuple(paths), np.array(identity, np.int64), np.array(camera, np.int64))
