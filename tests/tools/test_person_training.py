"""Training of the person detector: boxes lie where the augmented picture shows the person."""

import importlib

import cv2
import numpy as np
import pytest
import torch

CPU = torch.device("cpu")


@pytest.fixture
def load(tools):
    return lambda name: importlib.import_module(f"person_training.{name}")


@pytest.fixture
def pictures(load):
    """Black pictures of several shapes with one white ellipse each, and its box."""
    made = []
    for width, height in ((160, 120), (90, 160), (128, 128)):
        image = np.zeros((height, width, 3), np.uint8)
        cv2.ellipse(image, (width // 2, height // 2), (12, 30), 0, 0, 360, (255, 255, 255), -1)
        box = [width // 2 - 12, height // 2 - 30, width // 2 + 13, height // 2 + 31]
        encoded = bytes(cv2.imencode(".png", image)[1])
        made.append(load("pack").Picture(encoded, np.float32([box]), f"{width}", "made", False, True))
    return made


@pytest.fixture
def cutouts():
    """One red person with transparency beside the head."""
    image = np.zeros((60, 24, 4), np.uint8)
    image[12:, :, 2:] = 255
    image[:12, 6:18, 2:] = 255
    return [bytes(cv2.imencode(".png", image)[1])]


def extent(mask):
    rows, columns = torch.where(mask)
    return torch.stack([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]).float()


def test_the_pack_gives_back_what_was_put_in(load, pictures, cutouts, tmp_path):
    load("pack").write(tmp_path / "pack.npz", pictures, cutouts)
    read, people = load("pack").read(tmp_path / "pack.npz")
    assert [p.encoded for p in read] == [p.encoded for p in pictures]
    assert [p.boxes.tolist() for p in read] == [p.boxes.tolist() for p in pictures]
    assert people == cutouts


@pytest.mark.parametrize("spread", ["SINGLE", "GENTLE"])
def test_one_picture_keeps_its_box(load, pictures, spread):
    compose, gallery = load("compose"), load("gallery").load_pictures(pictures, CPU)
    chosen = torch.arange(24)[:, None] % 3
    generator = torch.Generator().manual_seed(1)
    image, boxes, known = compose.compose(gallery, chosen, 192, getattr(compose, spread), generator)
    seen = [row for row in range(24) if known[row].any()]
    assert len(seen) > 16
    for row in seen:
        white = image[row, 0] > 184  # half way from grey, which lies beyond the picture
        assert torch.allclose(extent(white), boxes[row, 0], atol=2.5)


def test_all_white_of_a_mosaic_lies_in_boxes(load, pictures):
    compose, gallery = load("compose"), load("gallery").load_pictures(pictures, CPU)
    chosen = torch.arange(64).reshape(16, 4) % 3
    image, boxes, known = compose.compose(gallery, chosen, 192, compose.MOSAIC, torch.Generator().manual_seed(1))
    white, at = image[:, 0] > 184, torch.arange(192) + 0.5
    across = (at >= boxes[..., :1] - 2) & (at <= boxes[..., 2:3] + 2)
    down = (at >= boxes[..., 1:2] - 2) & (at <= boxes[..., 3:] + 2)
    inside = (across[:, :, None, :] & down[:, :, :, None] & known[..., None, None]).any(1)
    assert known.sum() > 32
    assert (white & ~inside).sum() < 0.06 * white.sum()  # what a cut left too little of has no label


def test_pasted_people_have_boxes_and_hidden_ones_none(load, cutouts):
    paste = load("paste")
    people = load("gallery").load_cutouts(cutouts, CPU)
    image = torch.zeros(32, 3, 160, 160)
    whole = torch.tensor([[[0.0, 0, 1, 1]]]).repeat(32, 1, 1)
    counts = np.full(32, 1)
    image, boxes, known = paste.paste(
        image, whole, torch.zeros(32, 1).bool(), people, counts, torch.Generator().manual_seed(2)
    )
    assert known[:, 1].sum() > 20
    for row in torch.where(known[:, 1])[0]:
        assert torch.allclose(extent(image[row, 0] > 5), boxes[row, 1], atol=2.5)
    # Someone small in the very place of a large paste is no longer there to be found.
    placed = paste.Placed(
        *(torch.zeros(1, 1, dtype=torch.long), torch.tensor([[[20.0, 20, 80, 140]]])),
        *(torch.zeros(1, 1, dtype=torch.bool),) * 2,
        torch.zeros(1, 1),
    )
    points, _ = paste._points(torch.tensor([[[40.0, 60, 50, 90], [100, 60, 110, 90]]]), placed, people, 160)
    covers = paste._covers(points, placed, 0, people).float().mean(-1)[0]
    assert covers[0] == 1
    assert covers[1] == 0


def test_the_look_leaves_pictures(load):
    image = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 255
    changed = load("look").camera_look(image.clone(), np.random.default_rng(1), torch.Generator().manual_seed(1))
    assert changed.isfinite().all()
    assert changed.min() >= 0
    assert changed.max() <= 255
    mild = load("look").compress(image, np.random.default_rng(1), torch.Generator().manual_seed(1))
    assert (mild.mean((1, 2, 3)) - image.mean((1, 2, 3))).abs().max() < 6


def test_average_precision(load):
    judge = load("judge")
    true = np.float32([[0, 0, 10, 10], [20, 0, 30, 10]])
    right = (true, np.float32([0.9, 0.8]))
    assert judge.average_precision([right], [true]) == pytest.approx((1, 1))
    half = (np.float32([[0, 0, 10, 10], [50, 0, 60, 10]]), np.float32([0.9, 0.8]))
    assert judge.average_precision([half], [true])[0] == pytest.approx(51 / 101)
