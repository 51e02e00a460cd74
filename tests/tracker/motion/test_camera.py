import cv2
import numpy as np
import pytest

from tracker import DataError
from tracker.motion.camera import MeasuredCamera, RecordedCamera, moves_at_most
from tracker.motion.kalman import STILL

NOBODY = np.zeros((0, 4), np.float32)
METHODS = ["flow", "orb", "ecc"]


@pytest.fixture(scope="module")
def street(data):
    """A real picture, large enough to move a window over it."""
    picture = cv2.imread(str(next((data / "mot15/TUD-Campus/img1").glob("*.jpg"))))
    return cv2.resize(picture, (1000, 760))


def window(picture, x, y, degrees=0.0):
    """What a camera sees that is turned and shifted by so much, and the affine of its view."""
    view = cv2.getRotationMatrix2D((500, 380), degrees, 1.0)
    view[:, 2] += (-180 - x, -140 - y)
    return cv2.warpAffine(picture, view, (640, 480)), view


def between(before, after):
    return (np.vstack([after, [0, 0, 1]]) @ np.linalg.inv(np.vstack([before, [0, 0, 1]])))[:2]


@pytest.mark.parametrize(("method", "pixels"), [("flow", 0.5), ("ecc", 0.5), ("orb", 4.0)])
def test_finds_a_known_motion(street, method, pixels):
    """To within so many pixels anywhere in the picture, shifts of up to 12 pixels and turns of a degree."""
    camera = MeasuredCamera(method)
    picture, last = window(street, 0, 0)
    camera.estimate(picture, NOBODY)
    for x, y, turn in ((8, -5, 0), (20, 1, 0.5), (14, 9, 1.5), (2, 4, 1.0)):
        picture, view = window(street, x, y, turn)
        found = camera.estimate(picture, NOBODY)
        off = between(found, between(last, view))
        assert moves_at_most(off, (480, 640)) < pixels
        last = view


def test_what_detections_cover_does_not_count(street):
    """Half of the picture moves, as one large object; the camera does not."""
    still, _ = window(street, 0, 0)
    moved, _ = window(street, 10, 0)
    scene = still.copy()
    scene[:, 320:] = moved[:, 320:]
    boxes = np.array([[320, 0, 640, 480]], np.float32)
    camera = MeasuredCamera()
    camera.estimate(still, boxes)
    assert camera.estimate(scene, boxes) is STILL


@pytest.mark.parametrize("method", METHODS)
def test_pictures_without_structure_cut_or_noise_are_no_motion(street, method):
    black, grey = np.zeros((480, 640, 3), np.uint8), np.full((480, 640, 3), 128, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (2, 480, 640, 3), np.uint8)
    picture, _ = window(street, 0, 0)
    camera = MeasuredCamera(method)
    tiny = np.zeros((1, 1, 3), np.uint8)
    boxes = np.array([[-50, -50, 1e9, 1e9]], np.float32)
    for image in (black, black, grey, picture, black, *noise, tiny, np.zeros((3, 900, 3), np.uint8)):
        assert (camera.estimate(image, boxes) == STILL).all()
        assert (camera.estimate(image, NOBODY) == STILL).all()


def test_a_still_camera_is_looked_at_now_and_then(street, monkeypatch):
    camera, looks = MeasuredCamera(), []
    measure = camera._measure
    monkeypatch.setattr(camera, "_measure", lambda *args: looks.append(1) or measure(*args))
    picture, _ = window(street, 0, 0)
    for _ in range(130):
        assert camera.estimate(picture, NOBODY) is STILL
    assert len(looks) < 45
    moved, _ = window(street, 9, 0)
    assert any(camera.estimate(moved, NOBODY) is not STILL for _ in range(10))


def test_saved_state_continues_to_the_bit(street):
    one, other = MeasuredCamera(), MeasuredCamera()
    views = [window(street, 3 * i, i % 4)[0] for i in range(8)]
    for view in views[:4]:
        one.estimate(view, NOBODY)
    other.load_state_dict(one.state_dict())
    for view in views[4:]:
        np.testing.assert_array_equal(one.estimate(view, NOBODY), other.estimate(view, NOBODY))


def test_a_recorded_motion_comes_in_order_and_then_stops():
    motions = np.stack([STILL, STILL + 1])
    camera = RecordedCamera(motions)
    np.testing.assert_array_equal(camera.estimate(), motions[0])
    np.testing.assert_array_equal(camera.estimate(), motions[1])
    assert camera.estimate() is STILL


def test_recorded_motion_of_a_wrong_shape_is_refused():
    with pytest.raises(DataError, match=r"\(F, 2, 3\)"):
        RecordedCamera(np.eye(3))
