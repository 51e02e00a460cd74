"""Learning from tracklets without labels: links, what is promoted, and an adaptation of a tiny network."""

import cv2
import numpy as np
import pytest
import torch

from reid import DataError
from reid.adapt.identities import in_learned_times, mutual_nearest, pseudo_identities, strangers
from reid.adapt.loop import Adaptation, Settings, _hard, blended
from reid.adapt.tracklets import Tracklets, joined, read_folder
from reid.adapt.trust import Scores, scores, verdict
from reid.errors import TrainingError
from reid.models import create_model


def test_mutual_nearest_by_hand():
    distance = np.array([[0, 9, 1, 4], [9, 0, 2, 3], [1, 2, 0, 9], [4, 3, 9, 0]], np.float32)
    camera = np.array([0, 0, 1, 1])
    apart = camera[:, None] == camera[None]
    pairs, clear = mutual_nearest(distance, camera, apart)
    assert pairs.tolist() == [[0, 2], [1, 3]] or pairs.tolist() == [[0, 2]]
    assert pairs[0].tolist() == [0, 2]
    assert clear[0] == pytest.approx(1 - 1 / 2)  # the second best of 2 is 1, at a distance of 2


def test_links_join_no_people_seen_apart():
    distance = np.ones((4, 4), np.float32)
    distance[0, 1] = distance[1, 0] = 0.1
    distance[1, 2] = distance[2, 1] = 0.2
    camera, span = np.arange(4), np.full((4, 2), np.nan)
    apart = np.zeros((4, 4), bool)
    together = pseudo_identities(distance, camera, apart, span, share=1.0)
    assert together[0] == together[1] == together[2]
    apart[0, 2] = apart[2, 0] = True
    split = pseudo_identities(distance, camera, apart, span, share=1.0)
    assert split[0] == split[1] != split[2]
    assert strangers(split, apart)[split[0], split[2]]
    assert (pseudo_identities(distance, camera, apart, span, share=0.0) == np.arange(4)).all()


def test_links_that_take_another_time_are_left_out():
    pairs = np.stack([np.arange(50), 50 + np.arange(50)], 1)
    begin = np.concatenate([np.arange(50.0), np.arange(50.0) + 12])
    begin[99] += 300
    span = np.stack([begin, begin + 2], 1)
    camera = np.repeat([0, 1], 50)
    kept = in_learned_times(pairs, np.linspace(1, 0, 50), camera, span)
    assert kept[:49].all()
    assert not kept[49]
    assert in_learned_times(pairs, np.ones(50), camera, np.full((100, 2), np.nan)).all()


def people(cameras=2, number=60, crops=4, *, size=(32, 16), seed=0, shuffled=False):
    """Tracklets of people in three colours, which every camera tints otherwise."""
    random = np.random.default_rng(seed)
    tint = random.uniform(0.5, 1.0, (cameras, 1, 1, 3))
    clothes = random.integers(40, 255, (number, 3, 3))
    pictures = []
    for camera in range(cameras):
        for person in range(number):
            picture = np.repeat(clothes[person], [8, 12, 12], axis=0)[:, None] * tint[camera]
            pictures += list(picture + random.normal(0, 15, (crops, *size, 3)))
    stack = np.stack(pictures).clip(0, 255).astype(np.uint8)
    if shuffled:
        whose = np.arange(len(stack)).reshape(cameras, -1)
        stack = stack[random.permuted(whose, axis=1).ravel()]
    camera = np.repeat(np.arange(cameras), number)
    apart = (camera[:, None] == camera[None]) & ~np.eye(len(camera), dtype=bool)
    return Tracklets(
        torch.from_numpy(stack.transpose(0, 3, 1, 2).copy()),
        np.repeat(np.arange(len(camera)), crops),
        camera,
        apart,
        certain=True,
        name=tuple(map(str, range(len(camera)))),
        span=np.full((len(camera), 2), np.nan),
    )


@pytest.fixture
def network():
    torch.manual_seed(0)
    return create_model("slimnet_x0_5", dimension=16).eval()


def adapt(network, tracklets, out, **changes):
    settings = Settings(**({"minutes": 0.05, "rounds": 2, "rate": 3e-3} | changes))
    return Adaptation(network, tracklets, old=None, out=out, settings=settings)


def test_it_learns_goes_on_and_is_judged(network, tmp_path):
    tracklets = people()
    first = adapt(network, tracklets, tmp_path)
    assert len(first.learned) + len(first.judging) == len(tracklets)
    assert not {*first.learned.name} & {*first.judging.name}
    first.run()
    assert first.progress == 1
    assert first.steps > 0
    moved = sum(
        float((a - b).abs().sum()) for a, b in zip(first.average.parameters(), network.parameters(), strict=True)
    )
    assert moved > 0
    longer = adapt(network, tracklets, tmp_path, minutes=first.seconds / 60 + 0.02)
    assert longer.steps == first.steps
    assert 0 < longer.progress < 1
    longer.run()
    assert longer.steps > first.steps
    offered, said = longer.judged()
    assert set(said.before) == {"separation", "consistency", "agreement"}
    assert offered.training is False
    assert said.promoted is (said.after["separation"] > said.before["separation"] and "rose" in said.reason)


def test_a_checkpoint_of_something_else_is_told(network, tmp_path):
    adapt(network, people(), tmp_path).save()
    with pytest.raises(TrainingError, match="other settings"):
        adapt(network, people(), tmp_path, identities=8)
    with pytest.raises(TrainingError, match="tracklets"):
        adapt(network, people(number=50), tmp_path)
    other = create_model("slimnet_x0_5", dimension=16).eval()
    with pytest.raises(TrainingError, match="other weights"):
        adapt(other, people(), tmp_path)
    (tmp_path / "last.pt").write_bytes(b"PK\x03\x04 damaged")
    with pytest.raises(TrainingError, match="delete it to begin anew"):
        adapt(network, people(), tmp_path)


@pytest.mark.parametrize(
    ("tracklets", "words"),
    [
        (lambda: people(number=15), "too few to learn from"),
        (lambda: people(cameras=60, number=1), "nobody was seen together"),
        (lambda: people(number=60, shuffled=True), "mix people"),
    ],
)
def test_what_teaches_nothing_is_refused(network, tmp_path, tracklets, words):
    with pytest.raises(DataError, match=words):
        adapt(network, tracklets(), tmp_path)


def test_two_people_always_together_teach_nothing(network, tmp_path):
    """Seen together thirty times: a pair each time, and nobody else."""
    pair = people(cameras=1, number=2, crops=120)
    camera = np.zeros(60, np.int64)
    moment = np.arange(60) % 30
    apart = (moment[:, None] == moment[None]) & ~np.eye(60, dtype=bool)
    many = Tracklets(
        pair.crops,
        np.repeat(np.arange(60), 4),
        camera,
        apart,
        True,
        tuple(map(str, range(60))),
        np.full((60, 2), np.nan),
    )
    adaptation = adapt(network, many, tmp_path)
    adaptation.run()
    assert not adaptation.judged()[1].promoted


def test_hard_triplets_take_certain_negatives_only():
    distance = torch.tensor([[0.0, 1, 0.1, 2], [1, 0, 0.2, 3], [0.1, 0.2, 0, 1], [2, 3, 1, 0]])
    label = torch.tensor([0, 0, 1, 2])
    apart = torch.tensor([[0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=torch.bool)
    _, triplets = _hard(distance, label, apart)
    assert triplets.anchor.tolist() == [0, 1]
    assert triplets.positive.tolist() == [1, 0]
    assert triplets.negative.tolist() == [3, 3]  # 2 is nearer, but may be the same person


def test_a_blend_lies_between():
    old, new = create_model("slimnet_x0_5", dimension=16), create_model("slimnet_x0_5", dimension=16)
    half = blended(old, new, 0.5)
    for a, b, c in zip(old.parameters(), half.parameters(), new.parameters(), strict=True):
        torch.testing.assert_close(b, (a + c) / 2)


def values(mean, spread=0.1, number=100, seed=0):
    return np.random.default_rng(seed).normal(mean, spread, number)


@pytest.mark.parametrize(
    ("separation", "consistency", "agreement", "promoted"),
    [
        (0.9, 0.8, 0.5, True),
        (0.9, 0.5, 0.5, False),  # only one rose
        (0.9, 0.8, 0.3, False),  # one fell
        (0.7, 0.5, 0.5, False),  # nothing rose
        (0.7, 0.8, 0.8, False),  # people are not told apart better
    ],
)
def test_promotion_takes_a_sure_gain_and_no_loss(separation, consistency, agreement, promoted):
    before = Scores(values(0.7), values(0.5), values(0.5))
    after = Scores(values(separation, seed=1), values(consistency, seed=2), values(agreement))
    said = verdict(before, after)
    assert said.promoted is promoted
    assert said.reason


def test_scores_by_hand():
    """Three tracklets of two crops; the third one's halves are strangers."""
    vectors = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    groups = [np.array([0, 1]), np.array([2, 3]), np.array([4, 5])]
    apart = ~np.eye(3, dtype=bool)
    found = scores(vectors, groups, np.zeros(3, np.int64), apart)
    np.testing.assert_allclose(found.separation, [0.5, 1, 0])  # the third's second half looks like the first
    np.testing.assert_allclose(found.consistency, [1, 1, 1])
    assert np.isnan(found.agreement).all()


def test_folders_are_cameras_and_tracklets(tmp_path):
    for camera in ("gate", "yard"):
        for tracklet in range(3):
            folder = tmp_path / camera / f"{tracklet:03}"
            folder.mkdir(parents=True)
            for number in range(40 if tracklet == 0 else 3):
                cv2.imwrite(str(folder / f"{number:03}.png"), np.full((40, 20, 3), 10 * tracklet, np.uint8))
    (tmp_path / "gate" / "009").mkdir()
    cv2.imwrite(str(tmp_path / "gate" / "009" / "one.png"), np.zeros((40, 20, 3), np.uint8))
    found = read_folder(tmp_path, (32, 16))
    assert found.name == ("gate/000", "gate/001", "gate/002", "yard/000", "yard/001", "yard/002")
    assert np.bincount(found.tracklet).tolist() == [16, 3, 3, 16, 3, 3]
    assert found.camera.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.apart.sum() == 12
    both = joined([found, found])
    assert both.camera.max() == 3
    assert both.apart.sum() == 24
    assert len(both.crops) == 2 * len(found.crops)
    np.testing.assert_array_equal(both.take(np.array([7])).crops.numpy(), found.crops[16:19].numpy())
    cv2.imwrite(str(tmp_path / "stray.png"), np.zeros((40, 20, 3), np.uint8))
    with pytest.raises(DataError, match="expected CAMERA/TRACKLET"):
        read_folder(tmp_path, (32, 16))
