import threading
import tracemalloc

import numpy as np
import pytest

from tracker import DataError, Detections, Frame, Pipeline, SourceError, load_tracker
from tracker.config import load_pipeline_settings
from tracker.pipeline import Timings

D = 8


class Moving:
    """A source of frames that a fake detector can read: the frame's index is in its first pixel."""

    name, problem = "moving", None

    def __init__(self, frames=30, live=False, size=(64, 48), fail_at=None):
        self.frames, self.live, self.size, self.fail_at = frames, live, size, fail_at

    def __iter__(self):
        for i in range(self.frames):
            if i == self.fail_at:
                raise SourceError("the cable was pulled")
            yield Frame(np.full((self.size[1], self.size[0], 3), i % 256, np.uint8), i, i / 10)


class OneBox:
    class_names = {0: "person"}  # noqa: RUF012

    def __init__(self):
        self.batches = []

    def describe(self):
        return {}

    def detect(self, frames):
        self.batches.append(len(frames))
        return [Detections([[10 + f.index, 5, 20 + f.index, 40]], data={"name": np.array([f.index])}) for f in frames]


class SameLook:
    calls = 0

    def describe(self):
        return {}

    def embed_batch(self, images, boxes):
        self.calls += 1
        return [np.tile(np.eye(1, D, dtype=np.float32), (len(b), 1)) for b in boxes]


def test_every_frame_comes_out_once_with_its_own_detections():
    pipeline = Pipeline(OneBox(), load_tracker("bytetrack"), batch=4)
    steps = list(pipeline.steps(Moving(30)))
    assert [s.frame.index for s in steps] == list(range(30))
    assert [int(s.detections.data["name"][0]) for s in steps] == list(range(30))
    assert {i for s in steps for i in s.tracks.id.tolist()} == {1}


def test_batches_are_as_asked_and_live_sources_go_one_by_one():
    offline, live = OneBox(), OneBox()
    list(Pipeline(offline, load_tracker("sort"), batch=8).steps(Moving(20)))
    list(Pipeline(live, load_tracker("sort"), batch=8).steps(Moving(5, live=True)))
    assert offline.batches == [8, 8, 4]
    assert live.batches == [1] * 5


def test_the_embedder_runs_only_for_recipes_that_look():
    looks, ignored = SameLook(), SameLook()
    list(Pipeline(OneBox(), load_tracker("reacquire"), looks, batch=4).steps(Moving(8)))
    list(Pipeline(OneBox(), load_tracker("bytetrack"), ignored, batch=4).steps(Moving(8)))
    assert looks.calls == 2
    assert ignored.calls == 0


@pytest.mark.parametrize(
    ("tracker", "weights", "embeds"),
    [
        ("reacquire", "default", True),
        ("reacquire", "none", False),
        ("sort", "default", False),
        ("deepsort", "none", True),
    ],
)
def test_looks_are_taken_where_the_recipe_can_use_them_and_an_embedder_is_named(tracker, weights, embeds):
    assert load_pipeline_settings("default", [f"embedder.weights={weights}"], tracker=tracker).embeds == embeds


def test_stream_gives_frames_and_tracks():
    for frame, tracks in Pipeline(OneBox(), load_tracker("sort")).stream(Moving(3)):
        assert len(tracks) == 1
        assert tracks.detection.tolist() == [0]
        assert frame.size == (64, 48)


def test_an_error_of_the_source_comes_after_the_frames_before_it():
    seen = []
    with pytest.raises(SourceError, match="cable"):
        for step in Pipeline(OneBox(), load_tracker("sort"), batch=2).steps(Moving(10, fail_at=5)):
            seen.append(step.frame.index)
    assert seen == [0, 1, 2, 3]  # the frame that shared a batch with the error is lost with it


def test_leaving_early_leaves_no_thread():
    for _ in Pipeline(OneBox(), load_tracker("sort")).steps(Moving(1000)):
        break
    assert not [t for t in threading.enumerate() if t.name == "networks"]


def test_a_detector_that_fails_ends_the_reading_too():
    closed = threading.Event()

    class Read(Moving):
        def __iter__(self):
            try:
                yield from super().__iter__()
            finally:
                closed.set()

    class Broken(OneBox):
        def detect(self, frames):
            raise DataError("no boxes")

    with pytest.raises(DataError, match="no boxes") as held:  # whose traceback holds every frame of the stack
        next(Pipeline(Broken(), load_tracker("sort")).steps(Read(1000)))
    assert closed.is_set()
    assert held.tb is not None


def test_memory_does_not_grow_with_length():
    pipeline = Pipeline(OneBox(), load_tracker("bytetrack"), batch=4)
    steps = pipeline.steps(Moving(1200, size=(160, 120)))
    for _ in range(200):
        next(steps)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(900):
        next(steps)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    steps.close()
    assert grown < 20 * 160 * 120 * 3  # a few frames in flight, not nine hundred


def test_timings_are_per_frame():
    timings = Timings()
    with timings.measure("detect", 4):
        pass
    timings.seconds["detect"] = 0.2
    assert timings.milliseconds() == {"detect": pytest.approx(50)}


def test_from_config_runs_the_shipped_parts(clip):
    pipeline = Pipeline.from_config("default", ["tracker.birth.confirm_hits=2"])
    frames = pipeline.stream(clip)
    tracks = [next(frames)[1] for _ in range(12)]
    frames.close()
    assert len(tracks[-1]) >= 2
