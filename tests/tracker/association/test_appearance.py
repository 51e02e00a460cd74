"""What tracks remember of looks, beside the same said naively in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker.association.appearance import _add_to_gallery, is_set, learn_embedding, measure_occlusion, similarity
from tracker.association.buffers import make_buffers
from tracker.association.compile import compile_recipe
from tracker.association.grid import make_grid
from tracker.association.recipe import Recipe

D = 6


def recipe_of(reidentification=None, **appearance):
    stage = {"tracks": ["confirmed"], "cost": "embedding", "gate": 0.5}
    return Recipe.model_validate({"stages": [stage], "appearance": appearance, "reidentification": reidentification})


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def looks(count, seed=0):
    """Of one person, more or less alike: ``(count, D)`` unit vectors."""
    return unit(np.eye(D)[:3].sum(0) + np.random.default_rng(seed).normal(0, 0.5, (count, D)))


class Memory:
    """Of one track: its mean, its gallery, and how good these are."""

    def __init__(self, recipe, size=0):
        self.novelty = recipe.appearance.novelty
        stages, rules = compile_recipe(recipe, embeddings=True)
        self.buffers = make_buffers(2, 1 + size, D, rules, stages, 0)
        self.buffers.quality[0, 1:] = -1.0
        self.looks, self.quality = self.buffers.gallery[0], self.buffers.quality[0]

    def learn(self, seen, score=0.9, hidden=0.0):
        detection = self.buffers.detections[0]
        detection["score"], detection["occluded"] = score, hidden
        trust = learn_embedding(self.buffers, 0, 0, seen.astype(np.float32))
        self.buffers.tracks["evidence"][0] += trust
        return trust

    def add(self, seen, value):
        _add_to_gallery(self.looks, self.quality, seen.astype(np.float32), value, self.novelty)

    @property
    def mean(self):
        return self.looks[0]

    @property
    def samples(self):
        """What each taken place of the gallery holds, and how good it is."""
        taken = self.quality[1:] >= 0
        return dict(zip(keys(self.looks[1:][taken]), self.quality[1:][taken], strict=True))


def keys(rows):
    return [tuple(np.round(np.float64(row), 5).tolist()) for row in np.float32(rows)]


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_mean_moves_by_momentum(momentum):
    """e = α e + (1 - α) f, of unit length (StrongSORT; Du et al., TMM 2023, section 3.2)."""
    memory, expected = Memory(recipe_of(momentum=momentum)), None
    for seen in looks(12):
        assert memory.learn(seen) == 1
        expected = seen if expected is None else unit(momentum * expected + (1 - momentum) * seen)
        np.testing.assert_allclose(memory.mean, expected, atol=1e-6)


def test_the_mean_moves_less_for_a_lower_score():
    """α_t = α + (1 - α) (1 - (s - σ) / (1 - σ)) (Deep OC-SORT; Maggiolino et al., ICIP 2023, section 3.2)."""
    alpha, sigma, random = 0.8, 0.4, np.random.default_rng(1)
    memory = Memory(recipe_of(momentum=alpha, momentum_by_score=True, score=sigma))
    expected = None
    for seen, score in zip(looks(12), random.uniform(sigma, 1, 12), strict=True):
        trust = (score - sigma) / (1 - sigma)
        assert memory.learn(seen, score) == pytest.approx(trust)
        by_score = alpha + (1 - alpha) * (1 - trust)
        expected = seen if expected is None else unit(by_score * expected + (1 - by_score) * seen)
        np.testing.assert_allclose(memory.mean, expected, atol=1e-6)


def test_the_first_looks_count_alike_where_evidence_is_gathered():
    """The mean of few is their average, each by its trust, until momentum says less of the newest."""
    memory, heard, expected = Memory(recipe_of(momentum=0.9, reidentification={"evidence": 3})), 0.0, None
    for count, seen in enumerate(looks(14)):
        memory.learn(seen)
        heard += 1
        share = max(1 / heard, 0.1)
        assert (share == 0.1) == (count >= 9)
        expected = seen if expected is None else unit((1 - share) * expected + share * seen)
        np.testing.assert_allclose(memory.mean, expected, atol=1e-6)


@pytest.mark.parametrize(("score", "hidden"), [(0.49, 0.0), (0.9, 0.31), (0.49, 0.31)])
def test_who_is_known_learns_nothing_from_a_poor_crop(score, hidden):
    memory = Memory(recipe_of(score=0.5, overlap=0.3, gallery_size=3), 3)
    first, second = looks(2)
    assert memory.learn(first, 0.5, 0.3) == 1  # just good enough
    before = memory.looks.copy(), memory.quality.copy()
    assert memory.learn(second, score, hidden) == 0
    np.testing.assert_array_equal(memory.looks, before[0])
    np.testing.assert_array_equal(memory.quality, before[1])


def test_who_is_not_known_takes_what_there_is():
    memory = Memory(recipe_of(score=0.5))
    (poor,) = looks(1)
    assert memory.learn(poor, 0.2) == 0  # it is a look, and no evidence
    np.testing.assert_allclose(memory.mean, poor, atol=1e-6)


def test_no_embedding_teaches_nothing():
    memory = Memory(recipe_of(gallery_size=2), 2)
    assert memory.learn(np.zeros(D)) == 0
    assert not memory.looks.any()
    assert memory.samples == {}


def test_a_sample_is_as_good_as_its_score_and_as_what_is_seen_of_it():
    memory = Memory(recipe_of(gallery_size=2, novelty=0.2), 2)
    (seen,) = looks(1)
    memory.learn(seen, 0.8, 0.25)
    assert memory.samples == {keys([seen])[0]: pytest.approx(0.8 * 0.75)}


@given(st.integers(1, 5), st.integers(1, 14))
def test_without_novelty_the_newest_samples_are_kept(budget, count):
    memory, seen = Memory(recipe_of(gallery_size=budget), budget), looks(count)
    for value, row in zip(np.random.default_rng(count).random(count), seen, strict=True):
        memory.add(row, value)
    assert set(memory.samples) == set(keys(seen[-budget:]))


@given(
    budget=st.integers(1, 4),
    seen=st.lists(st.tuples(st.integers(0, D - 1), st.sampled_from([0.2, 0.4, 0.6, 0.8, 1.0])), max_size=20),
)
def test_a_full_gallery_keeps_the_best(budget, seen):
    """Looks that are the same or nothing alike: a list of the best of each kind, the worst leaving for a better."""
    memory, kept = Memory(recipe_of(gallery_size=budget, novelty=0.3), budget), {}
    for kind, value in seen:
        memory.add(np.eye(D)[kind], value)
        if kind in kept:
            kept[kind] = max(kept[kind], value)
        elif len(kept) < budget or min(kept.values()) <= value:
            if len(kept) == budget:  # of those equally bad, whoever it is: none is better than the other
                names = {key.index(1.0) for key in memory.samples}
                (gone,) = set(kept) - names
                assert kept[gone] == min(kept.values())
                del kept[gone]
            kept[kind] = value
        assert {key.index(1.0): q for key, q in memory.samples.items()} == kept


def test_of_many_different_looks_the_best_are_kept():
    budget, random = 4, np.random.default_rng(3)
    seen, values = unit(random.normal(size=(60, D))), random.permutation(60) / 60
    memory = Memory(recipe_of(gallery_size=budget, novelty=1e-9), budget)
    for row, value in zip(seen, values, strict=True):
        memory.add(row, value)
    best = np.argsort(-values)[:budget]
    assert memory.samples == dict(zip(keys(seen[best]), values[best], strict=True))


@pytest.mark.parametrize(("off", "samples"), [(0.19, 1), (0.21, 2)])
def test_novelty_is_half_the_cosine_distance(off, samples):
    memory, cosine = Memory(recipe_of(gallery_size=3, novelty=0.2), 3), 1 - 2 * off
    memory.add(np.eye(D)[0], 0.5)
    memory.add(cosine * np.eye(D)[0] + np.sqrt(1 - cosine**2) * np.eye(D)[1], 0.9)
    assert len(memory.samples) == samples


def test_similarity_is_of_the_mean_or_of_the_most_alike_sample():
    memory = np.concatenate([looks(4, seed=4), np.zeros((2, D))]).astype(np.float32)
    (seen,) = looks(1, seed=5)
    cosines = memory.astype(np.float64) @ seen
    assert similarity(memory, False, seen.astype(np.float32)) == pytest.approx(cosines[0], abs=1e-6)
    assert similarity(memory, True, seen.astype(np.float32)) == pytest.approx(cosines[1:4].max(), abs=1e-6)
    opposite = (-memory[1]).astype(np.float32)
    alone = np.stack([memory[0], memory[1], np.zeros(D, np.float32)])
    assert similarity(alone, True, opposite) == pytest.approx(-1, abs=1e-6)  # not the 0 of the free place
    assert similarity(np.zeros((3, D), np.float32), True, opposite) == 0


def test_all_zeros_are_no_embedding():
    assert not is_set(np.zeros(D, np.float32))
    assert is_set(np.eye(D, dtype=np.float32)[D - 1])


def naive_shares(boxes):
    shares = np.zeros(len(boxes))
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        for u1, v1, u2, v2 in boxes:
            if v2 > y2 and x2 > x1 and y2 > y1:
                width, height = min(x2, u2) - max(x1, u1), min(y2, v2) - max(y1, v1)
                shares[i] = max(shares[i], max(width, 0) * max(height, 0) / ((x2 - x1) * (y2 - y1)))
    return shares


def found_shares(boxes, questions):
    buffers = make_buffers(max(len(boxes), 1), 1, D, *compile_recipe(recipe_of(), embeddings=True)[::-1], 0)
    buffers.counters["detections"] = len(boxes)
    measure_occlusion(buffers, make_grid(boxes, questions))
    return buffers.detections["occluded"][: len(boxes)]


crowds = st.integers(0, 30).flatmap(lambda n: arrays(np.float64, (n, 4), elements=st.integers(0, 60)))


@pytest.mark.parametrize("questions", [1, 10_000])
@given(crowd=crowds)
def test_hidden_shares_equal_those_of_all_pairs(questions, crowd):
    """Whole pixels, so that boxes without area, the same box twice and the same lower edge come up."""
    boxes = np.c_[crowd[:, :2], crowd[:, :2] + crowd[:, 2:]]
    shares = found_shares(boxes, questions)
    np.testing.assert_allclose(shares, naive_shares(boxes), atol=1e-12)


def test_who_stands_in_front_hides_who_is_behind():
    behind, front, aside = [0, 0, 10, 20], [5, 10, 15, 30], [100, 0, 110, 50]
    shares = found_shares(np.array([behind, front, aside], np.float64), 1)
    assert shares.tolist() == [0.25, 0, 0]
