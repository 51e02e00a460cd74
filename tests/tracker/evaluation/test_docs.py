"""The guide's worked example: its session is run, and its sums are done again as it does them by hand."""

import doctest
from math import sqrt

import pytest

from tracker.evaluation.evaluate import score


def test_the_session_in_the_guide(root):
    results = doctest.testfile(str(root / "docs/evaluation.md"), module_relative=False)
    assert results.attempted >= 6
    assert results.failed == 0


@pytest.fixture
def example():
    on_a, on_b = [1, 1, 1, 2, 2, 2], [2, 2, None, None, 3, 3]
    tracks, overlaps = [], []
    for frame, (a, b) in enumerate(zip(on_a, on_b, strict=True)):
        false = [1] if frame == 3 else []
        tracks.append([a] + ([b] if b else []) + false)
        overlaps.append([[0.82 * (t == 0) for t in range(len(tracks[-1]))],
                         [0.82 * (t == 1 and b is not None) for t in range(len(tracks[-1]))]])  # fmt: skip
    return score([["A", "B"]] * 6, tracks, overlaps)


def test_the_sums_by_hand(example):
    numbers = example.full()
    counts = {"TP": 10, "FN": 2, "FP": 1, "IDSW": 2, "Frag": 1, "MT": 1, "PT": 1, "ML": 0, "IDTP": 5, "IDs": 3}
    assert {name: numbers[name] for name in counts} == counts
    ass_a = (3 * 3 / 7 + 3 * 3 / 8 + 2 * 2 / 9 + 2 * 2 / 6) / 10
    by_hand = {
        "MOTA": 1 - (2 + 1 + 2) / 12,
        "MODA": 1 - (2 + 1) / 12,
        "MOTP": 0.82,
        "IDF1": 2 * 5 / (11 + 12),
        "IDP": 5 / 11,
        "IDR": 5 / 12,
        "DetA": 16 / 19 * 10 / 13,
        "AssA": 16 / 19 * ass_a,
        "HOTA": 16 / 19 * sqrt(10 / 13 * ass_a),
        "HOTA(0)": sqrt(10 / 13 * ass_a),
        "LocA": (16 * 0.82 + 3) / 19,
    }
    for name, value in by_hand.items():
        assert numbers[name] == pytest.approx(value, abs=1e-12), name


def test_the_tables_name_every_metric(root):
    from tracker.evaluation.evaluate import NAMES

    text = (root / "docs/evaluation.md").read_text(encoding="utf-8")
    assert not [name for name in NAMES if f"`{name}`" not in text]
