import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.association import overlap as costs

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


def one(box):
    return tuple(map(float, box))


@given(boxes, boxes)
def test_pairs_equal_the_matrix(left, right):
    expected = [[costs.pair_iou(one(a), one(b)) for b in right] for a in left]
    np.testing.assert_allclose(costs.iou(left, right), expected, atol=1e-9)


@given(boxes, boxes)
def test_generalised_overlaps_equal_torchvision(left, right):
    """On boxes with an area; torchvision adds 1e-7 where ours does not."""
    import torch
    from torchvision.ops import complete_box_iou, distance_box_iou, generalized_box_iou

    left, right = (np.concatenate([b[:, :2], b[:, 2:] + 1.0], axis=1) for b in (left, right))
    a, b = torch.from_numpy(left), torch.from_numpy(right)
    for ours, theirs in (
        (costs.pair_giou, generalized_box_iou),
        (costs.pair_diou, distance_box_iou),
        (costs.pair_ciou, complete_box_iou),
    ):
        mine = [[ours(one(x), one(y)) for y in right] for x in left]
        np.testing.assert_allclose(mine, theirs(a, b).numpy(), atol=1e-5)


def test_buffered_and_height_overlap_of_an_example():
    a, b = (0.0, 0.0, 10.0, 20.0), (12.0, 0.0, 22.0, 10.0)
    assert costs.pair_iou(a, b) == 0
    assert costs.height_iou(a, b) == pytest.approx(0.5)
    assert costs.buffered(a, 0.5) == (-5, -10, 15, 30)
    grown = naive_iou((-5, -10, 15, 30), (7, -5, 27, 15))
    assert costs.overlap_of(costs.BUFFERED_IOU, a, b, 0.5) == pytest.approx(grown)


@given(boxes, boxes, st.floats(0, 2))
def test_buffered_and_height_overlap_equal_the_naive_ones(left, right, share):
    def grow(b):
        return b + share * np.array([b[0] - b[2], b[1] - b[3], b[2] - b[0], b[3] - b[1]])

    for a in left:
        for b in right:
            (_, top_a, _, low_a), (_, top_b, _, low_b) = a, b
            all_ = max(low_a, low_b) - min(top_a, top_b)
            tall = max(min(low_a, low_b) - max(top_a, top_b), 0) / all_ if all_ > 0 else 0.0
            assert costs.height_iou(one(a), one(b)) == pytest.approx(tall, abs=1e-9)
            by_height = costs.overlap_of(costs.HEIGHT_IOU, one(a), one(b), share)
            assert by_height == pytest.approx(naive_iou(a, b) * tall, abs=1e-9)
            buffered = costs.overlap_of(costs.BUFFERED_IOU, one(a), one(b), share)
            assert buffered == pytest.approx(naive_iou(grow(a), grow(b)), abs=1e-9)


@pytest.mark.parametrize("kind", costs.KINDS.values())
def test_every_overlap_is_symmetric_in_0_to_1_and_1_for_the_same_box(kind):
    random = np.random.default_rng(kind)
    for _ in range(50):
        a, b = (one(np.r_[corner, corner + size]) for corner, size in random.uniform(1, 60, (2, 2, 2)))
        overlap = costs.overlap_of(kind, a, b, 0.3)
        assert 0 <= overlap <= 1
        assert overlap == pytest.approx(costs.overlap_of(kind, b, a, 0.3))
        assert costs.overlap_of(kind, a, a, 0.3) == pytest.approx(1)


def test_distance_in_heights():
    assert costs.distance_in_heights((0.0, 0.0, 10.0, 20.0), (30.0, 40.0, 40.0, 60.0)) == pytest.approx(50 / 20)


def test_height_ratio_is_symmetric():
    a, b = (0.0, 0.0, 10.0, 20.0), (0.0, 0.0, 10.0, 50.0)
    assert costs.height_ratio(a, b) == costs.height_ratio(b, a) == pytest.approx(0.4)


def test_shape_difference_of_an_example():
    assert costs.shape_difference((0.0, 0.0, 10.0, 20.0), (0.0, 0.0, 10.0, 20.0)) == 0
    assert costs.shape_difference((0.0, 0.0, 10.0, 20.0), (5.0, 5.0, 10.0, 25.0)) == pytest.approx(1 - np.exp(-0.5))


@pytest.mark.parametrize(("to", "share"), [((1, 0), 0), ((0, 1), 0.5), ((-1, 0), 1), ((0, 0), 0.5)])
def test_angle_between_is_a_share_of_half_a_turn(to, share):
    assert costs.angle_between(1.0, 0.0, float(to[0]), float(to[1])) == pytest.approx(share)
