import numpy as np
import pytest
import supervision as sv

from tracker import DataError, Detections, Tracks
from tracker.adapters import from_supervision, from_ultralytics, to_supervision, to_ultralytics


@pytest.fixture
def detections():
    xyxy = [[0, 0, 10, 20], [5, 5, 15, 25]]
    mask = np.zeros((2, 30, 30), bool)
    mask[0, :20, :10] = True
    return Detections(xyxy, [0.9, 0.4], [0, 2], data={"mask": mask, "speed": np.array([1.5, 2.5])})


@pytest.fixture
def tracks():
    return Tracks([7], [[5, 5, 15, 25]], [0.4], [2], [1], [1])


def results(masks=None, keypoints=None, probs=None):
    import torch
    from ultralytics.engine.results import Results

    boxes = torch.tensor([[0, 0, 10, 20, 0.9, 0], [5, 5, 15, 25, 0.4, 2.0]]) if probs is None else None
    return Results(
        np.zeros((30, 30, 3), np.uint8),
        path="x",
        names={0: "person", 2: "car"},
        boxes=boxes,
        masks=masks,
        keypoints=keypoints,
        probs=probs,
    )


def test_supervision_there_and_back(detections):
    back = from_supervision(to_supervision(detections))
    np.testing.assert_array_equal(back.to_array(), detections.to_array())
    np.testing.assert_array_equal(back.data["mask"], detections.data["mask"])
    np.testing.assert_array_equal(back.data["speed"], detections.data["speed"])


def test_supervision_without_score_and_class():
    bare = from_supervision(sv.Detections(xyxy=np.array([[0.0, 0, 1, 1]])))
    assert bare.score.tolist() == [1]
    assert bare.class_id.tolist() == [0]


def test_tracks_take_the_riding_arrays_of_their_detections(detections, tracks):
    out = to_supervision(detections, tracks)
    assert out.tracker_id.tolist() == [7]
    assert out.data["speed"].tolist() == [2.5]
    np.testing.assert_array_equal(out.mask, detections.data["mask"][[1]])


def test_riding_arrays_of_predicted_tracks_are_zero(detections):
    """Frames with and without them have the same arrays: supervision merges no others."""
    both = Tracks([7, 8], [[5, 5, 15, 25], [0, 0, 10, 20]], [0.4, 0.9], [2, 0], [-1, 0], [2, 1])
    out = to_supervision(detections, both)
    assert out.tracker_id.tolist() == [7, 8]
    assert out.data["speed"].tolist() == [0, 1.5]
    assert not out.mask[0].any()
    np.testing.assert_array_equal(out.mask[1], detections.data["mask"][0])
    alone = to_supervision(detections[[]], both[[0]])
    assert alone.data["speed"].tolist() == [0]
    assert alone.mask.shape == (1, 30, 30)
    assert len(sv.Detections.merge([out, alone])) == 3


def test_ultralytics_results_with_masks_and_keypoints():
    import torch

    found = from_ultralytics(results(masks=torch.ones(2, 30, 30), keypoints=torch.ones(2, 17, 3)))
    assert found.class_id.tolist() == [0, 2]
    assert found.data["mask"].shape == (2, 30, 30)
    assert found.data["keypoints"].shape == (2, 17, 3)


def test_results_without_boxes_are_refused():
    import torch

    with pytest.raises(DataError, match="without boxes"):
        from_ultralytics(results(probs=torch.ones(3)))


def test_tracks_into_ultralytics_results(tracks):
    import torch

    out = to_ultralytics(tracks, results(masks=torch.ones(2, 30, 30)))
    assert out.boxes.id.tolist() == [7]
    assert out.boxes.cls.tolist() == [2]
    assert len(out.masks) == 1
