"""Detectors that cost nothing, for tests of live cameras."""

import time

import numpy as np
import pytest

from tracker.types import Detections


class StubDetector:
    """Sees one person, who walks with the picture's brightness; may take its time."""

    class_names = {0: "person", 1: "car"}  # noqa: RUF012

    def __init__(self, seconds=0.0):
        self.seconds, self.batches = seconds, []

    def describe(self):
        return {}

    def detect(self, frames):
        self.batches.append([frame.source for frame in frames])
        time.sleep(self.seconds * len(frames))
        return [self.see(frame) for frame in frames]

    def see(self, frame):
        width, height = frame.size
        x = width * (0.2 + 0.6 * float(frame.image.mean()) / 255)
        box = [x - width * 0.05, height * 0.3, x + width * 0.05, height * 0.7]
        return Detections(np.array([box], np.float32), [0.9])


@pytest.fixture
def stub_detector():
    return StubDetector
