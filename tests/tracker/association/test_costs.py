import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.association import costs

boxes = st.lists(
    st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(0, 50), st.floats(0, 50)).map(
        lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
    ),
    min_size=1,
    max_size=4,
).map(np.array)


def naive_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


@given(boxes, boxes)
def test_iou_equals_the_naive_one(left, right):
    expected = [[naive_iou(a, b) for b in right] for a in left]
    np.testing.assert_allclose(costs.iou(left, right), expected, atol=1e-9)


def test_iou_of_nothing_has_its_shape():
    assert costs.iou(np.empty((0, 4)), np.ones((3, 4))).shape == (0, 3)


def test_boxes_without_area_overlap_nothing():
    point = np.array([[5.0, 5, 5, 5]])
    assert costs.iou(point, point).tolist() == [[0]]


def test_cosine():
    a, b = np.array([[1.0, 0]]), np.array([[1.0, 0], [0, 1], [-1, 0]])
    assert costs.cosine(a, b).tolist() == [[0, 1, 2]]


def test_distance_in_heights():
    a, b = np.array([[0.0, 0, 10, 20]]), np.array([[30.0, 40, 40, 60]])
    assert costs.distance_in_heights(a, b) == pytest.approx(np.hypot(30, 40) / 20)


def test_height_ratio_is_symmetric():
    a, b = np.array([[0.0, 0, 10, 20]]), np.array([[0.0, 0, 10, 50]])
    assert costs.height_ratio(a, b) == costs.height_ratio(b, a) == pytest.approx(0.4)
