import numpy as np
import pytest

from reid.samplers import IdentitySampler


@pytest.fixture
def labels():
    """Fifteen identities of 1 to 15 images, in no order."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(15), np.arange(1, 16)))


def test_every_batch_is_p_identities_of_k_images(labels):
    batches = list(IdentitySampler(labels, p=4, k=3).epoch(0))
    assert len(batches) > 5
    for batch in batches:
        groups = labels[batch].reshape(4, 3)
        assert (groups == groups[:, :1]).all()
        assert len(set(groups[:, 0])) == 4


def test_identities_with_few_images_take_part_too(labels):
    drawn = np.concatenate([b for e in range(10) for b in IdentitySampler(labels, p=4, k=3).epoch(e)])
    assert set(labels[drawn]) == set(range(15))


def test_no_image_twice_in_an_epoch_unless_its_identity_has_too_few(labels):
    drawn = np.concatenate(list(IdentitySampler(labels, p=4, k=3).epoch(0)))
    images, count = np.unique(drawn, return_counts=True)
    sizes = np.bincount(labels)
    assert (sizes[labels[images[count > 1]]] < 3).all()


def test_an_epoch_uses_most_images(labels):
    drawn = np.concatenate(list(IdentitySampler(labels, p=4, k=3).epoch(0)))
    assert len(set(drawn)) > 0.7 * len(labels)


def test_the_order_depends_on_seed_and_epoch_alone(labels):
    def order(seed, epoch):
        sampler = IdentitySampler(labels, p=4, k=3, seed=seed)
        list(sampler.epoch(7))  # what came before does not matter
        return np.concatenate(list(sampler.epoch(epoch))).tolist()

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)


def test_too_few_identities_are_refused(labels):
    with pytest.raises(ValueError, match="P=16 identities a batch, but the data has only 15"):
        IdentitySampler(labels, p=16)
    with pytest.raises(ValueError, match="at least 2×2"):
        IdentitySampler(labels, k=1)


def test_the_few_images_of_an_identity_are_repeated_evenly():
    labels = np.repeat([0, 1, 2], [1, 2, 3])
    for epoch in range(5):
        (batch,) = IdentitySampler(labels, p=3, k=4).epoch(epoch)
        count = np.bincount(batch, minlength=6)
        assert count[0] == 4
        assert count[1:3].tolist() == [2, 2]
        assert sorted(count[3:].tolist()) == [1, 1, 2]


@pytest.fixture
def filmed():
    """Twenty identities of twelve images, most from one camera: 7, 3 and 2."""
    cameras = np.tile(np.repeat([0, 1, 2], [7, 3, 2]), 20)
    return np.repeat(np.arange(20), 12), cameras


def other_cameras(labels, cameras, sampler):
    """Share of positives that come from another camera than their anchor, and images seen."""
    share, drawn = [], []
    for epoch in range(10):
        for batch in sampler.epoch(epoch):
            seen = cameras[batch].reshape(-1, sampler.k)
            differ = seen[:, :, None] != seen[:, None]
            share.append(differ.sum() / (len(seen) * sampler.k * (sampler.k - 1)))
            drawn.append(batch)
    return np.mean(share), set(np.concatenate(drawn).tolist())


def test_camera_aware_groups_hold_more_cameras(filmed):
    labels, cameras = filmed
    options = {"p": 4, "k": 4}
    plain, _ = other_cameras(labels, cameras, IdentitySampler(labels, **options))
    aware, seen = other_cameras(labels, cameras, IdentitySampler(labels, cameras=cameras, **options))
    assert aware > plain + 0.04
    assert seen == set(range(len(labels)))  # and no image is forgotten for it


def test_every_camera_aware_group_is_of_several_cameras_where_it_can(filmed):
    labels, cameras = filmed
    for batch in IdentitySampler(labels, cameras=cameras, p=4, k=3).epoch(0):
        assert all(len(set(cameras[group])) >= 2 for group in batch.reshape(4, 3))
