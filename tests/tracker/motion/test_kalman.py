import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.motion import kalman as k

BOXES = np.array([[10.0, 20, 50, 120], [200, 100, 260, 220]])
ONE = 1.0
P, V = 1 / 20, 1 / 160


class BoxKalman:
    """The compiled functions, for several boxes at once."""

    def __init__(self, state):
        self.kind = k.KINDS[state]

    def measure(self, boxes):
        return np.array([k.measure(self.kind, tuple(map(float, box))) for box in boxes])

    def initiate(self, measured):
        states = np.zeros(len(measured), k.STATE)
        for state_, z in zip(states, measured, strict=True):
            k.initiate(self.kind, state_, tuple(map(float, z)), P, 10 * V)
        return states

    def predict(self, states, steps):
        for state_ in states:
            k.predict(self.kind, state_, float(steps), P, V, (1.0, 1.0, 1.0, 1.0))

    def update(self, states, measured, scale):
        for state_, z in zip(states, measured, strict=True):
            k.update(self.kind, state_, tuple(map(float, z)), scale, P)
        return states

    def boxes(self, states):
        return np.array([k.corners(self.kind, state_) for state_ in states])

    def squared_mahalanobis(self, states, measured):
        return np.array(
            [[k.squared_mahalanobis(self.kind, b, tuple(map(float, z)), P) for z in measured] for b in states]
        )


def position(states):
    return states["position"]


def velocity(states):
    return states["velocity"]


def full_filter(measured, updates, *, state, steps=1):
    """The textbook 8×8 filter with the same noise, as the oracle: mean and covariance after every update."""

    def size(mean):
        return np.array([mean[2], mean[3]] * 2) if state == "xywh" else np.array([mean[3]] * 4)

    def noises(mean):
        p, v, r = size(mean) / 20, size(mean) / 160, size(mean) / 20
        if state == "xyah":
            p[2], v[2], r[2] = 1e-2, 1e-5, 1e-1
        return p, v, r

    p, v, _ = noises(measured)
    factor_p, factor_v = np.full(4, 2.0), np.full(4, 10.0)
    if state == "xyah":
        factor_p[2] = factor_v[2] = 1
    mean = np.concatenate([measured, np.zeros(4)])
    covariance = np.diag(np.concatenate([factor_p * p, factor_v * v]) ** 2)
    transition = np.eye(8)
    transition[:4, 4:] = steps * np.eye(4)
    observe = np.eye(4, 8)
    for z in updates:
        p, v, _ = noises(mean)
        mean = transition @ mean
        covariance = transition @ covariance @ transition.T + steps * np.diag(np.concatenate([p, v]) ** 2)
        _, _, r = noises(mean)
        total = observe @ covariance @ observe.T + np.diag(r**2)
        gain = covariance @ observe.T @ np.linalg.inv(total)
        mean = mean + gain @ (z - observe @ mean)
        covariance = covariance - gain @ total @ gain.T
    return mean, covariance


@pytest.mark.parametrize("state", ["xyah", "xywh", "xysr"])
def test_boxes_undo_measure(state):
    kalman = BoxKalman(state)
    assert kalman.boxes(kalman.initiate(kalman.measure(BOXES))) == pytest.approx(BOXES)


@pytest.mark.parametrize("state", ["xyah", "xywh"])
@pytest.mark.parametrize("steps", [1, 0.5, 3])
def test_equals_the_full_filter(state, steps):
    kalman, random = BoxKalman(state), np.random.default_rng(3)
    first = kalman.measure(BOXES)
    walk = [kalman.measure(BOXES + 4 * i + random.normal(0, 1, BOXES.shape)) for i in range(1, 15)]
    states = kalman.initiate(first)
    for z in walk:
        kalman.predict(states, steps)
        states = kalman.update(states, z, ONE)
    for row in range(2):
        mean, covariance = full_filter(first[row], [z[row] for z in walk], state=state, steps=steps)
        np.testing.assert_allclose(np.r_[states["position"][row], states["velocity"][row]], mean, rtol=1e-9)
        np.testing.assert_allclose(states["position_variance"][row], np.diag(covariance)[:4], rtol=1e-9)
        np.testing.assert_allclose(states["velocity_variance"][row], np.diag(covariance)[4:], rtol=1e-9)
        np.testing.assert_allclose(states["covariance"][row], np.diag(covariance[:4, 4:]), rtol=1e-9)


@pytest.mark.parametrize("state", ["xyah", "xywh"])
def test_equals_ultralytics_filter(state):
    from ultralytics.trackers.utils.kalman_filter import KalmanFilterXYAH, KalmanFilterXYWH

    peer = (KalmanFilterXYAH if state == "xyah" else KalmanFilterXYWH)()
    kalman, random = BoxKalman(state), np.random.default_rng(1)
    z = kalman.measure(BOXES[:1])
    mean, covariance = peer.initiate(z[0])
    states = kalman.initiate(z)
    for i in range(1, 12):
        mean, covariance = peer.predict(mean, covariance)
        kalman.predict(states, 1)
        z = kalman.measure(BOXES[:1] + 3 * i + random.normal(0, 1, 4))
        theirs = peer.gating_distance(mean, covariance, z, metric="maha")
        np.testing.assert_allclose(kalman.squared_mahalanobis(states, z)[0], theirs, rtol=1e-9)
        mean, covariance = peer.update(mean, covariance, z[0])
        states = kalman.update(states, z, ONE)
        np.testing.assert_allclose(np.r_[states["position"][0], states["velocity"][0]], mean, rtol=1e-9, atol=1e-12)


def test_learns_a_constant_velocity():
    kalman = BoxKalman("xywh")
    states = kalman.initiate(kalman.measure(BOXES))
    for i in range(1, 60):
        kalman.predict(states, 1)
        states = kalman.update(states, kalman.measure(BOXES + i * np.array([3, -1, 3, -1])), ONE)
    assert velocity(states)[:, 0] == pytest.approx(3, abs=0.05)
    assert velocity(states)[:, 1] == pytest.approx(-1, abs=0.05)
    kalman.predict(states, 10)  # one long step, as after dropped frames
    assert kalman.boxes(states) == pytest.approx(BOXES + 69 * np.array([3, -1, 3, -1]), abs=1)


@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=6))
def test_many_short_steps_move_as_far_as_a_long_one(steps):
    kalman = BoxKalman("xyah")
    short, long = (kalman.initiate(kalman.measure(BOXES)) for _ in range(2))
    short["velocity"] = long["velocity"] = [2, 1, 0, 0.1]
    for step in steps:
        kalman.predict(short, step)
    kalman.predict(long, sum(steps))
    np.testing.assert_allclose(position(short), position(long), rtol=1e-9)


@pytest.mark.parametrize("state", ["xyah", "xywh", "xysr"])
def test_a_shrinking_box_never_turns_inside_out(state):
    kalman = BoxKalman(state)
    states = kalman.initiate(kalman.measure(BOXES))
    states["velocity"][:, 2:] = -50
    for _ in range(30):
        kalman.predict(states, 1)
        box = kalman.boxes(states)
        assert np.isfinite(box).all()
        assert (box[:, 2:] > box[:, :2]).all()


def test_uncertain_measurements_count_less():
    kalman = BoxKalman("xywh")
    z = kalman.measure(BOXES + 20)
    sure, unsure = (kalman.update(kalman.initiate(kalman.measure(BOXES)), z, scale) for scale in (0.1, 3.0))
    assert (position(sure)[:, 0] > position(unsure)[:, 0]).all()


def test_a_warp_moves_the_box_as_it_moves_its_corners():
    """Turned a little and grown, as by a camera: the believed box is that of the moved centre, the sides grown."""
    angle, grow = 0.02, 1.1
    camera = np.array(
        [[grow * np.cos(angle), -grow * np.sin(angle), 5], [grow * np.sin(angle), grow * np.cos(angle), -3]]
    )
    for state in ("xyah", "xywh", "xysr"):
        kalman = BoxKalman(state)
        states = kalman.initiate(kalman.measure(BOXES))
        states["velocity"][:, :2] = [3, -2]
        for state_ in states:
            k.warp(kalman.kind, state_, camera)
        centre = (BOXES[:, :2] + BOXES[:, 2:]) / 2 @ camera[:, :2].T + camera[:, 2]
        half = grow * (BOXES[:, 2:] - BOXES[:, :2]) / 2
        assert kalman.boxes(states) == pytest.approx(np.concatenate([centre - half, centre + half], axis=1))
        np.testing.assert_allclose(velocity(states)[:, :2], np.tile(camera[:, :2] @ [3, -2], (2, 1)))


@pytest.mark.parametrize("state", ["xyah", "xywh", "xysr"])
def test_a_still_camera_changes_nothing(state):
    kalman = BoxKalman(state)
    states = kalman.initiate(kalman.measure(BOXES))
    before = states.copy()
    for state_ in states:
        k.warp(kalman.kind, state_, np.eye(2, 3))
    np.testing.assert_array_equal(states, before)
