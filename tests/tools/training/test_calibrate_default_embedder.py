"""The tool that calibrates the bundled embedder, on data of twelve people."""

import shutil
import sys

import cv2
import numpy as np

from reid.calibration import load_calibration
from tools.training import calibrate_default_embedder as tool


def write_people(folder, name):
    """Twelve people in colours, four noisy crops of each by two cameras."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for identity in range(1, 13):
        colours = random.integers(0, 255, (3, 3))
        for camera in (1, 2):
            for number in range(4):
                crop = np.repeat(colours, [8, 16, 16], axis=0)[:, None] + random.normal(0, 20, (40, 20, 3))
                path = folder / name.format(identity=identity, camera=camera, number=number)
                cv2.imwrite(str(path), crop.clip(0, 255).astype(np.uint8))


def test_pairs_of_all_data_sets_go_into_the_weights(tmp_path, monkeypatch, root, capsys):
    reid = tmp_path / "reid"
    for folder in ("market1501/val", "pku/train"):
        write_people(reid / folder, "{identity:04}_c{camera}s1_{number:06}_00.png")
    write_people(reid / "cuhk01/train", "{identity:04}_c{camera}_{number:02}.png")
    weights = tmp_path / "new.safetensors"
    shutil.copy(root / "reid/weights/default.safetensors", weights)
    monkeypatch.setattr(tool, "DATA", tmp_path)
    monkeypatch.setattr(sys, "argv", ["tool", str(weights), "--left-out", f"cuhk01={weights}"])
    tool.main()
    assert f"{weights}: written" in capsys.readouterr().out
    made = load_calibration(weights)
    assert made.pairs(across=True)[0] == 3 * 12 * 16
    assert made.knows(across=False)
    for words in (
        "Market-1501 validation, 12 people",
        "PKU-Reid, 12 people",
        "cuhk01, 12 people, by weights that left",
    ):
        assert words in made.about["data"]
