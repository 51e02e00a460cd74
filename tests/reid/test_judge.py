"""The bundled weights on real identities that they were not trained on, scored again by hand."""

import numpy as np
import pytest

from reid import DataError, load_embedder
from reid.data.pair import joined, read_pair, subset, that_are_looked_for, that_may_be_found
from reid.data.sets import CropSet
from reid.judge import judge, milliseconds_per_crop
from reid.rerank import Settings


@pytest.fixture(scope="module")
def judgement(data):
    root = data / "reid/market1501/val"
    return judge(load_embedder("default", device="cpu"), *read_pair("market1501", root / "query", [root / "gallery"]))


def by_name(path):
    """Identity and camera, read from the file's name once more."""
    person, rest = path.name.split("_c")
    return int(person), int(rest[0])


def test_scores_are_those_of_a_loop_over_file_names(judgement):
    q, g = judgement.vectors
    first, average, genuine, impostors = [], [], [], []
    for i, path in enumerate(judgement.query.paths):
        person, camera = by_name(path)
        found = []
        for j, other in enumerate(judgement.gallery.paths):
            who, where = by_name(other)
            if who == -1 or (who == person and where == camera):
                continue
            found.append((float(1 - q[i] @ g[j]), who == person))
        found.sort()
        places = [rank for rank, (_, right) in enumerate(found, 1) if right]
        genuine += [d for d, right in found if right]
        impostors += [d for d, right in found if not right]
        if places:
            first.append(places[0])
            average.append(np.mean([n / place for n, place in enumerate(places, 1)]))
    assert judgement.ranking.queries == len(first)
    for rank in (1, 5, 10):
        assert judgement.ranking.cmc[rank - 1] == pytest.approx(np.mean(np.array(first) <= rank), abs=1e-9)
    assert judgement.ranking.mean_ap == pytest.approx(np.mean(average), abs=1e-6)
    for point, rate in zip(judgement.verification.points, (1e-2, 1e-3), strict=True):
        assert point.false_match_rate <= rate
        assert (np.array(impostors) <= point.threshold).mean() == pytest.approx(rate, abs=2e-5)
        assert (np.array(genuine) > point.threshold).mean() == pytest.approx(point.false_non_match_rate, abs=1e-3)


def test_the_bundled_weights_know_people(judgement):
    assert judgement.ranking.cmc[0] > 0.80
    assert judgement.ranking.mean_ap > 0.68
    assert judgement.about["threshold"] == pytest.approx(judgement.threshold, abs=0.05)


def test_rerankings_gain_on_people(judgement):
    from reid.evaluate import rank
    from reid.rerank import Reranker

    assert (
        rank(judgement.retrieval, Reranker(*judgement.vectors, Settings())).mean_ap > judgement.ranking.mean_ap + 0.03
    )


def labels(identity, camera=None):
    identity = np.array(identity)
    paths = tuple(f"{i}" for i in range(len(identity)))
    return CropSet(paths, identity, np.zeros(len(identity), int) if camera is None else np.array(camera))


def test_junk_and_distractors_by_their_role():
    crops = labels([-1, 0, 3, 3])
    assert that_are_looked_for(crops).identity.tolist() == [3, 3]
    assert that_may_be_found(crops).identity.tolist() == [0, 3, 3]
    assert joined([crops, subset(crops, np.array([2]))]).identity.tolist() == [-1, 0, 3, 3, 3]


def test_sets_that_do_not_belong_together_are_refused_before_any_work():
    class Never:
        def embed_files(self, *_, **__):
            raise AssertionError("embedded in vain")

    with pytest.raises(DataError, match=r"\(1 queries, 2 gallery images\)"):
        judge(Never(), labels([5]), labels([5, 6]))


def test_several_are_timed_in_turn(monkeypatch):
    order = []

    class Embedder:
        def __init__(self, name):
            self.name = name

        def embed_batch(self, images, boxes):
            order.append((self.name, len(images)))

    monkeypatch.setattr("reid.judge.read_image", lambda path: np.zeros((20, 10, 3), np.uint8))
    times = milliseconds_per_crop([Embedder("a"), Embedder("b")], ["x", "y", "z"], repeats=2)
    assert order == [("a", 32), ("b", 32)] * 3
    assert all(t >= 0 for t in times)
