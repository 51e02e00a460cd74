"""Data sets on disk: layouts, splits, variants, and what is said when something is missing."""

import cv2
import numpy as np
import pytest

from tracker.benchmark.dataset import find_dataset, guess_benchmark
from tracker.benchmark.frames import open_frames
from tracker.benchmark.perceive import _frames
from tracker.benchmark.runner import part_of_gt
from tracker.errors import DataError
from tracker.evaluation.read import read_gt


def test_a_data_set_a_split_and_a_sequence_are_all_found(small):
    for place, names in ((small, ["one", "two"]), (small / "train", ["one", "two"]), (small / "train/two", ["two"])):
        assert [s.name for s in find_dataset(place)] == names


def test_what_the_folder_says_of_itself(small):
    one = find_dataset(small, names=("o*",))[0]
    assert (one.length, one.rate, one.size, one.start, one.images) == (40, 25, (320, 240), 0, None)


@pytest.mark.parametrize(("frames", "first", "second"), [(40, 21, 19), (41, 21, 20), (525, 263, 262)])
def test_halves_are_cut_where_centertrack_cuts_them(tmp_path, make_sequence, frames, first, second):
    """Its converter takes frames 0 … N // 2 for training and N // 2 + 1 … N - 1 for validation."""
    make_sequence(tmp_path / "train/s", frames=frames)
    a, b = (find_dataset(tmp_path, split=half)[0] for half in ("train-half", "val-half"))
    assert (a.start, a.length, b.start, b.length) == (0, first, first, second)
    assert [f.index for f in open_frames(b)] == list(range(first, frames))
    assert next(f.timestamp for f in open_frames(b)) == first / 25
    whole, part = read_gt(b.gt), read_gt(part_of_gt(b, tmp_path / "truth"))
    assert part.frame.min() == 0
    assert part.frame.max() == second - 1
    assert (part.xyxy == whole.xyxy[whole.frame >= first]).all()


def test_the_variants_of_mot17(tmp_path, make_sequence):
    for name in ("MOT17-02-DPM", "MOT17-02-FRCNN", "MOT17-02-SDP", "MOT17-04-SDP"):
        make_sequence(tmp_path / "train" / name, frames=3)
    names = {v: [s.name for s in find_dataset(tmp_path, variant=v)] for v in ("all", "one", "DPM")}
    assert len(names["all"]) == 4
    assert names["one"] == ["MOT17-02-FRCNN", "MOT17-04-SDP"]
    assert names["DPM"] == ["MOT17-02-DPM"]
    assert guess_benchmark(find_dataset(tmp_path)) == "mot17"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "vale"}, "split 'vale' is unknown; there are: train, train-half, val-half, val, test"),
        ({"names": ("three",)}, "no sequence fits 'three'; there are: one, two"),
        ({"variant": "YOLO"}, "variant 'YOLO' is unknown"),
    ],
)
def test_mistakes_are_told(small, options, message):
    with pytest.raises(DataError, match=message):
        find_dataset(small, **options)


def test_a_folder_of_something_else_says_what_was_expected(tmp_path):
    with pytest.raises(DataError, match=r"expected train/SEQUENCE/ or SEQUENCE/ in it, each with img1/.*det/det.txt"):
        find_dataset(tmp_path)


def test_a_copy_that_is_not_whole_is_told(tmp_path, make_sequence):
    folder = make_sequence(tmp_path / "s", frames=5, pictures=True)
    (folder / "img1/000005.jpg").unlink()
    with pytest.raises(DataError, match=r"seqinfo.ini says 5 frames, img1/ holds 4"):
        find_dataset(tmp_path)


def test_a_sequence_of_two_sizes_is_refused(tmp_path, make_sequence):
    folder = make_sequence(tmp_path / "one", frames=5, pictures=True)
    (folder / "img1/._000001.jpg").write_bytes(b"left by a system")
    (sequence,) = find_dataset(folder)
    assert sum(1 for _ in _frames(sequence, "detect", lambda *_: None)) == 5
    cv2.imwrite(str(folder / "img1/000003.jpg"), np.zeros((120, 160, 3), np.uint8))
    with pytest.raises(DataError, match="1 frames are not of the first one's size"):
        list(_frames(sequence, "detect", lambda *_: None))


def test_names_of_frames_that_are_no_numbers(tmp_path):
    """A raised two is a digit to Python, and no number."""
    folder = tmp_path / "S"
    (folder / "img1").mkdir(parents=True)
    for name in ("\u00b2.png", "\u00b2\u00b2.png"):
        cv2.imwrite(str(folder / "img1" / name), np.zeros((24, 32, 3), np.uint8))
    (sequence,) = find_dataset(folder)
    with open_frames(sequence) as source:
        assert [frame.index for frame in source] == [0, 1]
