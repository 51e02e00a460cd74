"""Training of the person detector: boxes lie where the augmented picture shows the person."""

import importlib
import signal

import cv2
import numpy as np
import pytest
import torch

from tracker.detection.weights_file import read_about

CPU = torch.device("cpu")


@pytest.fixture
def load(tools):
    return lambda name: importlib.import_module(f"tools.training.person.{name}")


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


@pytest.fixture
def run(load, pictures, cutouts, tmp_path):
    """Makes a run of a few small steps on the pictures; the same every time but for its folder."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # work this small gains nothing by more, and loses much on a busy machine
    loop, sampling, gallery = load("loop"), load("sampling"), load("gallery")
    recipe = loop.shrunk(loop.SMALL, 64, 2)
    stored = gallery.load_pictures(pictures, CPU), gallery.load_cutouts(cutouts, CPU)
    sampler = sampling.Sampler(*stored, np.full(3, 1 / 3), np.ones(3, int), recipe.augmentation, 1)
    yield lambda folder, stopped=lambda: False: loop.Run("some", recipe, sampler, tmp_path / folder, stopped=stopped)
    torch.set_num_threads(threads)


def test_a_run_that_was_killed_goes_on_as_if_nothing_had_been(load, run):
    length = load("loop").Length(steps=3)
    whole, first = run("whole"), run("parts")
    whole.train(length)
    first.stopped = lambda: first.step == 1  # it leaves what a kill after its last checkpoint leaves
    first.train(length)
    second = run("parts")
    second.train(length)
    assert (first.step, second.step) == (1, 3)
    for name, value in second.average.model.state_dict().items():
        assert torch.equal(value, whole.average.model.state_dict()[name]), name
    assert not torch.equal(
        *(r.average.model.state_dict()["model.0.conv.weight"] for r in (first, second))
    )  # it did go on


def test_sigterm_ends_a_run_with_its_weights_kept(load, run, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    try:
        some = run("some", load("together").Stop())
        step = some.train_step
        monkeypatch.setattr(some, "train_step", lambda: (signal.raise_signal(signal.SIGTERM), step())[1])
        some.train(load("loop").Length(steps=100))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert some.step == 1
    assert read_about(some.weights).class_names == {0: "person"}
    assert some.checkpoint.exists()


def test_a_loss_that_is_no_number_ends_the_run_and_spares_what_was_kept(load, run):
    loop = load("loop")
    run("some").train(loop.Length(steps=1))
    kept = run("some").weights.read_bytes()
    broken = run("some")
    broken.stopped = lambda: broken.step > 1 and broken.model.model[0].conv.weight.data.fill_(torch.nan) is None
    with pytest.raises(
        loop.DivergenceError, match=r"some: the loss is no longer a number by step \d.*some\.pt is of before"
    ):
        broken.train(loop.Length(steps=8))
    assert broken.weights.read_bytes() == kept
