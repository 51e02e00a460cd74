"""Who is in view before and after a short loss of the camera keeps the id."""

import av
import numpy as np
import pytest

from reid import load_embedder
from tests.tracker.live.boxes import iou
from tracker import load_tracker
from tracker.detection import load_detector
from tracker.pipeline import embed
from tracker.types import Frame

EVERY, SECONDS = 2, 40
"""Of ten pictures a second every second one is tracked, for so long."""


@pytest.fixture(scope="module")
def perceived(clip):
    """Timestamps and detections of the clip."""
    detector, embedder, score = (
        load_detector("person", image_size=640, score=0.1),
        load_embedder(),
        load_tracker("reacquire").embedding_score,
    )
    found = []
    with av.open(str(clip)) as container:
        for i, picture in enumerate(container.decode(video=0)):
            if i % EVERY == 0 and i < 10 * SECONDS:
                frame = Frame(picture.to_ndarray(format="bgr24"), i, i / 10)
                found += [(frame.timestamp, *embed(embedder, [frame], detector.detect([frame]), [score]))]
    return found


def track(perceived, begin=0.0, end=0.0):
    """Tracks by time, with nothing seen from `begin` to `end`."""
    engine = load_tracker("reacquire")
    return {t: engine.update(found, timestamp=t) for t, found in perceived if not begin <= t < end}


def same_people(one, other, begin, end):
    """Pairs of ids that overlapped in at least two pictures between two moments."""
    votes = {}
    for t in (t for t in other if begin <= t < end):
        for i, j in zip(*np.nonzero(iou(one[t].xyxy, other[t].xyxy) > 0.6), strict=True):
            pair = int(one[t].id[i]), int(other[t].id[j])
            votes[pair] = votes.get(pair, 0) + 1
    return {pair for pair, count in votes.items() if count >= 2}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ids_outlive_an_outage(perceived):
    whole = track(perceived)
    shares = {}
    for outage in (2.0, 3.0):
        kept = still_there = 0
        for begin in np.arange(8.0, 34.0, 3.0):
            back = begin + outage
            broken = track(perceived, begin, back)
            during = [whole[t].id.tolist() for t in whole if begin <= t < back]
            seen = {i for ids in during for i in ids if sum(i in some for some in during) >= 0.8 * len(during)}
            before = {p for p in same_people(whole, broken, begin - 2, begin) if p[0] in seen}
            after = same_people(whole, broken, back, back + 3)
            there = {p for p in before if p[0] in {q[0] for q in after}}
            kept, still_there = kept + len(there & after), still_there + len(there)
        assert still_there > 30
        shares[outage] = kept / still_there
        print(f"{outage:g} s away: {kept} of {still_there} ids kept")  # noqa: T201
    assert min(shares.values()) > 0.75
    assert max(shares.values()) > 0.85
