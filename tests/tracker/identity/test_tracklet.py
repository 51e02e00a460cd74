"""What is kept of a track, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from people import looks, seen, unit

from tracker import DataError
from tracker.identity import Tracklet
from tracker.identity.tracklet import choose


@given(st.lists(st.floats(0, 1, width=32), max_size=60))
def test_the_best_of_each_stretch_of_time_is_kept(quality):
    quality = np.array(quality, np.float32)
    chosen = choose(quality)
    assert len(chosen) == min(len(quality), 8)
    assert (np.diff(chosen) > 0).all()
    if len(quality) > 8:
        parts = np.split(quality, np.linspace(0, len(quality), 9).round().astype(int)[1:-1])
        assert quality[chosen].tolist() == [part.max() for part in parts]


def test_what_is_given_is_copied_and_kept_in_half_precision():
    vectors = looks(1, 20)
    tracklet = seen(1, "gate", 1, 0, embeddings=vectors, quality=np.arange(20))
    before = tracklet.embeddings.copy()
    vectors[:] = 0
    assert tracklet.embeddings.dtype == np.float16
    assert tracklet.embeddings.shape == (8, 32)
    assert (tracklet.embeddings == before).all()
    assert tracklet.quality[-1] == 19


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"camera": ""}, "camera"),
        ({"track": 1.5}, "track"),
        ({"track": True}, "track"),
        ({"class_id": "person"}, "class_id"),
        ({"begin": np.nan}, "finite times"),
        ({"begin": 9.0, "end": 8.0}, "the end not before"),
        ({"embeddings": np.ones(32, np.float32)}, r"\(K, D\)"),
        ({"embeddings": np.ones((2, 32), np.int64)}, "floats"),
        ({"embeddings": 2 * looks(1)}, "length 2"),
        ({"embeddings": np.full((1, 32), np.nan)}, "length nan"),
        ({"embeddings": np.zeros((1, 32))}, "length 0"),
        ({"quality": [1.0]}, "quality for each of 3"),
        ({"quality": [1.0, -1.0, 1.0]}, "negative"),
        ({"quality": [1.0, np.inf, 1.0]}, "no number"),
        ({"first_xyxy": (10, 20, 30, 60)}, "looks like pixels"),
        ({"last_xyxy": (0.3, 0.2, 0.1, 0.4)}, "no box"),
        ({"last_xyxy": (0.1, 0.2, np.nan, 0.4)}, "no box"),
    ],
)
def test_what_is_no_tracklet_is_refused(change, said):
    good = {"camera": "gate", "track": 17, "begin": 3.0, "end": 4.0, "embeddings": looks(1)}
    Tracklet(**good)
    with pytest.raises(DataError, match=said):
        Tracklet(**good | change)


def test_a_track_that_goes_on_keeps_both_its_ends_and_what_was_given_twice_once():
    a, b = looks(1, 3), looks(2, 2)
    old = seen(1, "gate", 1, 0, 5, embeddings=a, first_xyxy=(0, 0, 0.1, 0.2), last_xyxy=(0.1, 0, 0.2, 0.2))
    new = seen(1, "gate", 1, 3, 9, embeddings=unit(np.concatenate([a, b])), last_xyxy=(0.5, 0, 0.6, 0.2))
    both = old.continued(new)
    assert (both.begin, both.end) == (0, 9)
    assert both.first_xyxy.tolist() == old.first_xyxy.tolist()
    assert both.last_xyxy.tolist() == new.last_xyxy.tolist()
    assert len(both.embeddings) == 5
    none = new.continued(seen(1, "gate", 1, 9, 10, embeddings=a[:0]))
    assert len(none.embeddings) == 5
    assert none.end == 10
