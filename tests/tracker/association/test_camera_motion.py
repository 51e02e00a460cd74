"""Engines whose recipe asks how the camera moved: by pictures, and from a file."""

import cv2
import numpy as np
import pytest

from tracker import DataError, Detections, load_tracker
from tracker.config import config_names, load_recipe

MEASURED = [name for name in config_names("trackers") if load_recipe(name).camera_motion in ("flow", "ecc", "orb")]
D = 8


@pytest.fixture(scope="module")
def street():
    """A picture full of structure, larger than what a camera sees of it."""
    picture = np.full((400, 900, 3), 90, np.uint8)
    for x, y, shade in np.random.default_rng(0).integers(0, (900, 400, 255), (250, 3)).tolist():
        cv2.rectangle(picture, (x, y), (x + 25, y + 20), (shade, 255 - shade, shade // 2), -1)
    return picture


def someone(x):
    return Detections([[x, 100, x + 14, 130]], [0.9], embedding=np.eye(1, D))


def jerk(street, frame):
    """A camera that looks 16 pixels to the left and back every fifth frame, at somebody who stands: picture, place."""
    left = 200 - 16 * (frame // 5 % 2)
    return np.ascontiguousarray(street[:300, left : left + 400]), 350.0 - left


def by_file(folder, rows):
    path = folder / "camera.txt"
    path.write_text("\n".join(" ".join(map(str, row)) for row in rows))
    return load_tracker("bytetrack", overrides=["camera_motion=file", f"camera_file={path}"])


@pytest.mark.parametrize("recipe", MEASURED)
def test_who_stands_keeps_his_id_when_the_camera_jerks(street, recipe):
    shown = {True: [], False: []}
    for sees, ids in shown.items():
        engine = load_tracker(recipe)
        assert engine.needs_image
        for frame in range(40):
            picture, x = jerk(street, frame)
            found = someone(x)
            ids += engine.update(found, timestamp=frame / 30, image=picture if sees else None).id.tolist()
    assert shown[True] == [1] * len(shown[True])
    assert len(shown[True]) >= 38
    assert shown[False] != shown[True]  # it is the pictures that do it


@pytest.mark.parametrize("recipe", MEASURED)
def test_pictures_without_structure_are_as_no_pictures(recipe):
    seeing, blind = load_tracker(recipe), load_tracker(recipe)
    for frame in range(12):
        picture = np.full((300, 400, 3), 0 if frame < 6 else 128, np.uint8)
        a = seeing.update(someone(10.0 + 2 * frame), timestamp=frame / 30, image=picture)
        b = blind.update(someone(10.0 + 2 * frame), timestamp=frame / 30)
        np.testing.assert_array_equal(a.xyxy, b.xyxy)
        np.testing.assert_array_equal(a.id, b.id)


@pytest.mark.parametrize("recipe", MEASURED)
def test_saved_in_the_middle_of_a_moving_picture(street, recipe, tmp_path):
    engine = load_tracker(recipe)
    for frame in range(30):
        if frame == 15:
            np.savez(tmp_path / "state.npz", **engine.state_dict())
            other = load_tracker(recipe)
            other.load_state_dict(np.load(tmp_path / "state.npz"))
        picture, x = jerk(street, frame)
        found = someone(x) if frame % 7 else Detections.empty().with_embedding(np.empty((0, D)))
        a = engine.update(found, timestamp=frame / 30, image=picture, include_lost=True)
        if frame >= 15:
            b = other.update(found, timestamp=frame / 30, image=picture, include_lost=True)
            np.testing.assert_array_equal(a.id, b.id)
            np.testing.assert_array_equal(a.xyxy, b.xyxy)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((30, 40), np.uint8), ((30, 40, 3), float), ((30, 40, 4), np.uint8), ((0, 9, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused_and_changes_nothing(shape, dtype):
    engine = load_tracker("boosttrack")
    engine.update(someone(10), timestamp=0.0)
    before = engine.state_dict()
    with pytest.raises(DataError, match=r"image: expected \(H, W, 3\) uint8, got"):
        engine.update(someone(10), timestamp=0.1, image=np.zeros(shape, dtype))
    for name, value in engine.state_dict().items():
        assert value.tobytes() == before[name].tobytes()


def test_a_file_needs_no_pictures(tmp_path):
    """The camera jumps by more than a box with every frame; the file says so."""
    engine = by_file(tmp_path, [(i, 1, 0, 60 if i else 0, 0, 1, 0) for i in range(12)])
    assert not engine.needs_image
    for frame in range(12):
        assert engine.update(someone(10 + 60 * frame), timestamp=frame / 30).id.tolist() == [1]


def test_a_refused_frame_takes_no_row_of_the_file(tmp_path):
    engine = by_file(tmp_path, [(i, 1, 0, 60 if i else 0, 0, 1, 0) for i in range(12)])
    for frame in range(12):
        with pytest.raises(DataError):
            engine.update(someone(np.nan), timestamp=frame / 30)
        assert engine.update(someone(10 + 60 * frame), timestamp=frame / 30).id.tolist() == [1]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([(0, 1, 0, 0, 0, 1)], "7 finite numbers.*got 6 columns"),
        ([(0, 1, 0, 0, 0, 1, 0), (1, 1, 0, "nan", 0, 1, 0)], "7 finite numbers.*NaN"),
        ([(0, 1, 0, 0, 0, 1, 0), (3, 1, 0, 0, 0, 1, 0)], "frame 3 follows frame 0"),
        ([("a", "b")], "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, rows, problem):
    with pytest.raises(DataError, match=rf"camera\.txt.*{problem}"):
        by_file(tmp_path, rows)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt.*cannot be read"):
        load_tracker("bytetrack", overrides=["camera_motion=file", f"camera_file={tmp_path / 'none.txt'}"])
