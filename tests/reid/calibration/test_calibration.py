"""Evidence by distance: against what is known of simulated people, and files that are not what they say."""

import json
import subprocess
import sys

import numpy as np
import pytest

from reid import WeightsError
from reid.calibration import (
    SIZES,
    Calibration,
    PairCounts,
    load_calibration,
    prototype,
    tracklet_distance,
    write_calibration,
)
from reid.calibration.counts import EDGES
from reid.calibration.labelled import count_pairs


def of_normals(pairs=20_000, sizes=SIZES, seed=0):
    """Distances of one identity around 0.4, of two around 0.8, both with a deviation of 0.1: the ratio is a line."""
    random, counts = np.random.default_rng(seed), PairCounts.none()
    for size in sizes:
        for across in (False, True):
            for mean, same in ((0.4, True), (0.8, False)):
                counts.add(random.normal(mean, 0.1, pairs), np.full(pairs, same), size=size, across=across)
    return counts


def true_ratio(distance):
    return ((distance - 0.8) ** 2 - (distance - 0.4) ** 2) / (2 * 0.1**2)


def test_the_ratio_is_that_of_the_distributions():
    calibration = Calibration.fitted(of_normals())
    distance = np.linspace(0.5, 0.7, 21)
    for size in SIZES:
        found = calibration.log_likelihood_ratio(distance, size, size, across=True)
        np.testing.assert_allclose(found, true_ratio(distance), atol=0.4)


def test_it_never_rises_and_is_no_surer_than_its_pairs():
    calibration = Calibration.fitted(of_normals(pairs=3000))
    distance = np.linspace(0, 2, 500)
    for across in (False, True):
        for left, right in ((1, 1), (3, 3), (8, 8), (1, 8), (50, 50)):
            found = calibration.log_likelihood_ratio(distance, left, right, across=across)
            assert (np.diff(found) <= 1e-12).all()
            assert found.max() <= np.log(3000 / 30) + 1e-9
            assert found.min() >= -np.log(3000 / 30) - 1e-9


def test_numbers_of_embeddings_lie_between_the_sizes():
    value = np.zeros((2, 4, len(EDGES))) + np.array([8.0, 4, 2, 1])[:, None]
    calibration = Calibration(value, np.ones(2, bool), PairCounts.none())
    ask = calibration.log_likelihood_ratio
    assert ask(0.5, 2, 2, across=True) == 4
    assert ask(0.5, 100, 100, across=True) == 1
    assert ask(0.5, 1, 3, across=False) == pytest.approx(8 - 4 * np.log2(1.5))  # the harmonic mean of 1 and 3 is 1.5
    assert ask(0.5, 3, 1, across=False) == ask(0.5, 1, 3, across=False)
    assert ask(0.5, 0, 4, across=True) == 0
    np.testing.assert_array_equal(ask([[0.1, 0.2]], [[1], [2]], 8, across=[[True], [False]]).shape, (2, 2))


def test_distances_beyond_the_ends_and_nan():
    ask = Calibration.fitted(of_normals(pairs=500)).log_likelihood_ratio
    assert ask(-1e-7, 1, 1, across=True) == ask(0, 1, 1, across=True)
    assert ask(2.1, 1, 1, across=True) == ask(2, 1, 1, across=True)
    assert np.isnan(ask(np.nan, 1, 1, across=True))


def test_what_nobody_measured_is_no_evidence():
    nothing = Calibration.unknown()
    assert not nothing.knows(across=True)
    assert not nothing.knows(across=False)
    assert (nothing.log_likelihood_ratio(np.linspace(0, 2, 9), 4, 4, across=True) == 0).all()
    few = Calibration.fitted(of_normals(pairs=29))
    assert not few.knows(across=True)
    assert few.pairs(across=True, size=2) == (29, 29)


def test_a_size_without_pairs_takes_the_next_smaller_one():
    calibration = Calibration.fitted(of_normals(pairs=1000, sizes=(1, 2)))
    of_two, of_eight = (calibration.log_likelihood_ratio(0.55, n, n, across=True) for n in (2, 8))
    assert of_eight == pytest.approx(of_two, abs=0.5)
    assert calibration.pairs(across=True, size=8) == (0, 0)


def test_pairs_of_the_place_correct_what_was_known():
    elsewhere = PairCounts.none()
    random = np.random.default_rng(1)
    for mean, same in ((0.1, True), (0.3, False)):
        elsewhere.add(random.normal(mean, 0.05, 5000), np.full(5000, same), size=1, across=False)
    before = Calibration.fitted(of_normals())
    after = before.with_pairs(elsewhere)
    assert before.log_likelihood_ratio(0.3, 1, 1, across=False) > 3
    assert after.log_likelihood_ratio(0.3, 1, 1, across=False) < -1
    assert after.log_likelihood_ratio(0.3, 1, 1, across=True) > 3  # nothing was seen across cameras


def test_labelled_crops_give_pairs_of_the_right_kind():
    """Vectors that say who and where: the distance of a pair tells what kind it is."""
    random = np.random.default_rng(0)
    identity = np.repeat(np.arange(-1, 12), 24)
    camera = np.tile(np.repeat([0, 1, -1], 8), 13)
    who, where = np.eye(16)[identity], np.eye(16)[13 + camera]
    vectors = (who + where + random.normal(0, 1e-3, who.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    counts = count_pairs(vectors, identity, camera)
    middle = np.square((EDGES[1:] + EDGES[:-1]) / 2) / 2
    for across, same, different in ((0, 0.0, 0.5), (1, 0.5, 1.0)):
        for size in range(3):
            pairs = counts.count[across, size]
            assert pairs[0] @ middle / pairs[0].sum() == pytest.approx(same, abs=0.02)
            assert pairs[1] @ middle / pairs[1].sum() == pytest.approx(different, abs=0.02)
    assert counts.pairs[0, 3].sum() == 0  # the halves of 8 crops have 4
    assert counts.pairs[1, 3].tolist() == [11, 110]  # a pair of cameras each; all ordered pairs of strangers


def test_prototypes_are_of_unit_length_and_weighted():
    vectors = np.eye(3, dtype=np.float32)[None, :2]
    np.testing.assert_allclose(prototype(vectors), [[0.5**0.5, 0.5**0.5, 0]], atol=1e-6)
    np.testing.assert_allclose(prototype(vectors, np.array([[1.0, 0.0]])), [[1, 0, 0]])
    assert (prototype(np.empty((2, 0, 3), np.float32)) == 0).all()
    with pytest.raises(ValueError, match="weights of shape"):
        prototype(vectors, np.ones(3))
    np.testing.assert_allclose(tracklet_distance(vectors[0], -vectors[0]), [[2, 1], [1, 2]])


def test_files_keep_everything(tmp_path):
    calibration = Calibration.fitted(of_normals(), {"data": "simulated"})
    back = load_calibration(write_calibration(tmp_path / "c.json", calibration))
    np.testing.assert_allclose(back.value, calibration.value, atol=6e-4)
    np.testing.assert_array_equal(back.counts.count, calibration.counts.count)
    assert back.about == {"data": "simulated"}
    assert back.knows(across=True)


def test_weights_carry_it_inside_or_beside(tmp_path, root):
    calibration = Calibration.fitted(of_normals(), {"data": "simulated"})
    ours = tmp_path / "mine.safetensors"
    ours.write_bytes((root / "reid/weights/default.safetensors").read_bytes())
    assert write_calibration(ours, calibration) == ours
    assert load_calibration(ours).about == {"data": "simulated"}
    foreign = tmp_path / "other.onnx"
    foreign.write_bytes(b"\x08\x08rest")
    assert not load_calibration(foreign).knows(across=True)
    assert write_calibration(foreign, calibration) == tmp_path / "other.calibration.json"
    assert load_calibration(foreign).knows(across=True)
    assert foreign.read_bytes() == b"\x08\x08rest"


def test_weights_work_as_before_with_it(tmp_path, root):
    from reid.embedder import weights_path
    from reid.load import read_about

    path = tmp_path / "mine.safetensors"
    path.write_bytes(weights_path("default").read_bytes())
    before = read_about(path)
    write_calibration(path, Calibration.fitted(of_normals()))
    after = read_about(path)
    assert (after.threshold, after.preprocessing, after.dimension) == (
        before.threshold,
        before.preprocessing,
        before.dimension,
    )


def damaged():
    good = json.loads(Calibration.fitted(of_normals(pairs=100)).to_json())
    rising = json.loads(json.dumps(good))
    rising["within"]["2"]["log_ratio"][7] = 40
    yield "rising", rising
    for name, change in {
        "format": {"format": "other"},
        "words": {"about": {"a": 1}},
        "a regime": {"across": None},
        "text for a number": {
            "within": good["within"] | {"4": {"log_ratio": ["1"] * 129, "same": [], "different": []}}
        },
        "too few": {"within": good["within"] | {"1": good["within"]["1"] | {"same": [0]}}},
        "infinite": {"within": good["within"] | {"1": good["within"]["1"] | {"same": [float("inf")] * 128}}},
        "negative": {"within": good["within"] | {"1": good["within"]["1"] | {"different": [-1] * 128}}},
        "unknown, yet evidence": {"within": good["within"] | {"known": False}},
    }.items():
        yield name, good | change
    yield "no object", [1, 2]


@pytest.mark.parametrize(
    ("name", "content"), list(damaged()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_damaged_files_are_refused(tmp_path, name, content):
    path = tmp_path / "c.json"
    path.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match=r"c\.json: damaged, or no calibration"):
        load_calibration(path)


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(WeightsError, match="no such weights"):
        load_calibration(tmp_path / "nothing.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(WeightsError, match="damaged"):
        load_calibration(tmp_path / "deep.json")


def test_the_bundled_weights_have_one():
    calibration = load_calibration()
    for across in (False, True):
        assert calibration.knows(across=across)
        same, different = calibration.pairs(across=across)
        assert same > 1000
        assert different > 10_000
        near, far = calibration.log_likelihood_ratio([0.2, 0.95], 4, 4, across=across)
        assert near > 3
        assert far < -2
    assert calibration.about


def test_asking_needs_no_torch():
    code = (
        "import sys; from reid.calibration import load_calibration\n"
        "load_calibration().log_likelihood_ratio(0.3, 4, 4, across=True); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "cv2", "onnxruntime", "scipy.optimize"} & set(loaded)
