import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tracker import DataError, Detections, Frame, Tracks, TrackState
from tracker.types import OUTPUT

BOX = [10.0, 20.0, 30.0, 60.0]


class TestFrame:
    def test_size_is_width_and_height(self):
        assert Frame(np.zeros((48, 64, 3), np.uint8), 0, 0.0).size == (64, 48)

    @pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)])
    def test_refuses_what_is_no_bgr_picture(self, image):
        with pytest.raises(DataError, match=r"expected \(H, W, 3\) uint8, got"):
            Frame(image, 0, 0.0)


class TestDetections:
    def test_score_and_class_have_defaults(self):
        detections = Detections([BOX, BOX])
        assert detections.score.tolist() == [1, 1]
        assert detections.class_id.tolist() == [0, 0]
        assert detections.xyxy.dtype == np.float32
        assert detections.class_id.dtype == np.int64

    @pytest.mark.parametrize("empty", [Detections.empty(), Detections([]), Detections.from_array([])])
    def test_empty(self, empty):
        assert len(empty) == 0
        assert empty.xyxy.shape == (0, 4)
        empty.validate()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"xyxy": [[1, 2, 3]]}, r"xyxy: expected shape \(any, 4\), got \(1, 3\)"),
            ({"xyxy": [BOX], "score": [1, 1]}, r"score: expected shape \(1,\), got \(2,\)"),
            ({"xyxy": [BOX], "class_id": ["person"]}, r"class_id: expected numbers that fit int64"),
            ({"xyxy": [BOX], "embedding": [1.0, 2.0]}, r"embedding: expected shape \(1, any\), got \(2,\)"),
            ({"xyxy": [BOX], "data": {"mask": np.zeros((2, 5))}}, r"data\['mask'\]: expected 1 rows, got 2"),
        ],
    )
    def test_wrong_shapes_state_expected_and_actual(self, arguments, message):
        with pytest.raises(DataError, match=message):
            Detections(**arguments)

    @pytest.mark.parametrize("columns", [4, 5, 6])
    def test_plain_arrays_both_ways(self, columns):
        rows = np.array([[*BOX, 0.5, 3], [1, 2, 3, 4, 0.25, 7]])[:, :columns]
        assert Detections.from_array(rows).to_array()[:, :columns] == pytest.approx(rows)

    def test_plain_array_of_another_width_is_refused(self):
        with pytest.raises(DataError, match=r"got \(1, 7\)"):
            Detections.from_array(np.zeros((1, 7)))

    @pytest.mark.parametrize("rows", [np.array([True, False, True]), np.array([2, 0]), slice(1, None), [1]])
    def test_choosing_rows_takes_everything_along(self, rows):
        all_rows = Detections([BOX] * 3, [0.1, 0.2, 0.3], [1, 2, 3], np.eye(3), {"keypoints": np.arange(3)[:, None]})
        chosen = all_rows[rows]
        assert chosen.class_id.tolist() == all_rows.class_id[rows].tolist()
        assert chosen.data["keypoints"][:, 0].tolist() == (all_rows.class_id[rows] - 1).tolist()
        np.testing.assert_array_equal(chosen.embedding, all_rows.embedding[rows])

    @pytest.mark.parametrize(
        ("box", "score", "reason"),
        [
            ([np.nan, 0, 1, 1], 0.5, "NaN"),
            ([0, 0, np.inf, 1], 0.5, "infinite"),
            ([np.inf, 0, np.inf, 1], 0.5, "infinite"),
            ([5, 0, 1, 1], 0.5, "x2 < x1"),
            (BOX, 1.5, "score outside"),
            (BOX, np.nan, "score outside"),
            (BOX, -0.1, "score outside"),
        ],
    )
    def test_values_that_no_tracker_can_use(self, box, score, reason):
        detections = Detections([BOX, box], [0.5, score])
        with pytest.raises(DataError, match=rf"detection row 1: .*{reason}"):
            detections.validate()
        assert list(detections.faults()) == [1]

    def test_embedding_with_nan_is_a_fault(self):
        detections = Detections([BOX], embedding=[[np.nan, 1.0]])
        with pytest.raises(DataError, match="row 0: embedding"):
            detections.validate()

    @given(arrays(np.float32, (3, 4)), arrays(np.float32, 3))
    def test_validate_and_faults_agree(self, xyxy, score):
        detections = Detections(xyxy, score)
        if detections.faults():
            with pytest.raises(DataError):
                detections.validate()
        else:
            detections.validate()

    def test_huge_but_finite_boxes_do_not_overflow_silently(self):
        huge = Detections([[-3e38, 0, 3e38, 1]])
        with pytest.raises(DataError):
            huge.validate()


class TestTracks:
    def test_rows_and_empty(self):
        assert len(Tracks.empty()) == 0
        tracks = Tracks([1, 2], [BOX, BOX], [0.5, 0.6], [0, 0], [3, -1], [TrackState.CONFIRMED, TrackState.LOST])
        assert tracks.predicted.tolist() == [False, True]
        seen = tracks[tracks.detection >= 0]
        assert seen.id.tolist() == [1]
        assert seen.state.dtype == np.uint8

    def test_wrong_shape_is_named(self):
        with pytest.raises(DataError, match=r"Tracks.score: expected shape \(1,\), got \(2,\)"):
            Tracks([1], [BOX], [0.5, 0.5], [0], [0], [1])

    @given(st.integers(0, 5))
    def test_columns_cut_from_rows_are_as_given(self, n):
        random = np.random.default_rng(n)
        ids, box = np.arange(n) + 2**40, random.uniform(-1e6, 1e6, (n, 4)).astype(np.float32)
        score, state = random.random(n).astype(np.float32), random.integers(0, 3, n)
        rows = np.zeros(n, OUTPUT)
        rows["id"], rows["xyxy"], rows["score"], rows["class_id"] = ids, box, score, ids % 7
        rows["detection"], rows["state"] = np.arange(n) - 1, state
        given, cut = Tracks(ids, box, score, ids % 7, np.arange(n) - 1, state), Tracks.from_records(rows)
        assert len(cut) == n
        for name in ("id", "xyxy", "score", "class_id", "detection", "state"):
            mine = getattr(cut, name)
            np.testing.assert_array_equal(getattr(given, name), mine)
            assert mine.dtype == getattr(given, name).dtype
            assert mine is getattr(cut, name)
        with pytest.raises(AttributeError, match="colour"):
            cut.colour  # noqa: B018

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda tracks: pickle.loads(pickle.dumps(tracks))])
    def test_tracks_can_be_copied_and_pickled(self, copied):
        record = np.array([(1, [0, 1, 2, 3], 0.5, 0, 4, 1)], OUTPUT)
        for tracks in (Tracks([1], [BOX], [0.5], [0], [4], [1]), Tracks.from_records(record)):
            again = copied(tracks)
            assert (again.id.tolist(), again.detection.tolist(), again.xyxy.shape) == ([1], [4], (1, 4))
