"""The page of a made evaluation: what it says is what was measured, and it needs nothing beside it."""

import re
from html.parser import HTMLParser
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from reid.data.sets import CropSet
from reid.embedder import read_image
from reid.judge import Judgement, judge
from reid.report import write_report
from reid.report.pictures import SHOWN, chosen_queries, picture, ranked_list
from reid.rerank import Settings


class ByColour:
    """Stands in for an embedder: the mean colour of a crop, made unit length."""

    def __init__(self, path):
        self.about = SimpleNamespace(path=path)

    def embed_files(self, paths, *, progress=lambda _: None):
        progress(len(paths))
        return self.embed_batch([read_image(p) for p in paths], [None] * len(paths), together=True)

    def embed_batch(self, images, _, together=False):
        means = np.array([i.mean((0, 1)) - 128 for i in images])
        vectors = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
        return vectors if together else list(vectors[:, None])

    def describe(self):
        return {"weights": "w", "dimension": 3, "size": [64, 32], "backend": "none", "device": "cpu"}


@pytest.fixture(scope="module")
def judgement(tmp_path_factory):
    """Four identities whose colours are alike in pairs, so that there is right and wrong; one name is an attack."""
    root, random = tmp_path_factory.mktemp("page"), np.random.default_rng(0)
    colours = np.array([[200, 60, 60], [190, 80, 60], [60, 200, 90], [60, 190, 60]])
    sets = []
    for side, cameras in (("query", 1), ("gallery", 2)):
        paths, identity = [], []
        for person in range(4):
            for shot in range(6):
                path = root / side / f"{person}_{shot}_<script>.png"
                path.parent.mkdir(exist_ok=True)
                shade = np.clip(colours[person] + random.normal(0, 14, 3), 0, 255)
                cv2.imwrite(str(path), np.tile(shade, (200, 80, 1)).astype(np.uint8))
                paths.append(path)
                identity.append(person + 1)
        sets.append(CropSet(tuple(paths), np.array(identity), np.full(24, cameras)))
    (root / "w").write_bytes(b"0" * 1000)
    return judge(ByColour(root / "w"), *sets, rerank=Settings(5, 2, 0.3))


def page(tmp_path, judgements):
    write_report(tmp_path / "r.html", judgements, query=tmp_path / "q", gallery=[tmp_path / "g"])
    return (tmp_path / "r.html").read_text(encoding="utf-8")


def test_it_says_what_was_measured(judgement, tmp_path):
    text = page(tmp_path, {"mine": judgement})
    assert 0.3 < judgement.ranking.mean_ap < 1  # there is right and wrong to show
    for value in (judgement.ranking.cmc[0], judgement.ranking.mean_ap, judgement.reranked.mean_ap):
        assert f"<td>{value:.3f}</td>" in text
    assert f"<td>{judgement.threshold:.3f}</td>" in text
    assert "pictures of people" in text


def test_it_is_whole_and_names_cannot_break_out(judgement, tmp_path):
    text = page(tmp_path, {"a": judgement, "b": judgement})
    opened = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag, attributes):
            if tag not in ("meta", "img"):
                opened.append(tag)
            for name, value in attributes:
                assert not (name in ("src", "href") and not value.startswith("data:")), value

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Checker().feed(text)
    assert not opened
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert text.count("<details>") == 2
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_borders_are_right(judgement):
    for row in (0, 7, 23):
        text = ranked_list(judgement, row)
        q, g = judgement.vectors
        nearest = np.argsort(1 - g @ q[row], kind="stable")[:SHOWN]
        same = judgement.gallery.identity[nearest] == judgement.query.identity[row]
        expected = np.where(same, "right", "wrong").tolist()
        assert re.findall(r'<li class="(right|wrong)">', text) == expected
        assert text.count("✓") == expected.count("right")


def test_worst_queries_come_first():
    precision = np.array([0.9, np.nan, 0.1, 0.5, 1.0] * 10)
    worst, others = chosen_queries(precision)
    assert (precision[worst] == 0.1).all()
    assert np.isfinite(precision[others]).all()
    assert (np.diff(precision[others]) >= 0).all()
    assert precision[others][-1] == 1.0
    assert not set(worst) & set(others)


def test_pictures_are_no_larger_than_shown(judgement):
    import base64

    data = re.search(r"base64,([^\"]+)", picture(judgement.query.paths[0]))[1]
    image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (128, 51, 3)


def test_judgement_is_of_what_it_says(judgement):
    assert isinstance(judgement, Judgement)
    assert judgement.summary()["bytes"] == 1000
    assert set(judgement.summary()["reranked"]) == {"rank1", "rank5", "rank10", "mAP", "mINP"}
