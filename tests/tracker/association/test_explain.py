import numpy as np
import pyarrow as pa
import pytest

from tracker import DataError, Detections, load_tracker
from tracker.association.explain import why


def see(*corners, score=0.9):
    boxes = np.array([[x, y, x + 40, y + 100] for x, y in corners], np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(len(boxes), score, np.float32))


def run(frames, recipe="bytetrack"):
    engine = load_tracker(recipe, record=True)
    shown = [engine.update(found).id.tolist() for found in frames]
    return engine, shown


@pytest.fixture
def switch():
    """Someone walks, jumps 300 pixels in a frame, and walks on as another."""
    frames = [see((10 + 2 * t, 100), (600, 100)) for t in range(8)]
    return run(frames + [see((320 + 2 * t, 100), (600, 100)) for t in range(8)])


def test_every_pair_has_its_verdict(switch):
    engine, shown = switch
    table = engine.take_record()
    assert isinstance(table, pa.Table)
    assert shown[0] == [1, 2]
    assert shown[-1] == [2, 3]
    rows = table.to_pylist()
    assert {r["stage"] for r in rows} >= {"birth", "1: iou_times_score", "3: iou_times_score"}
    matched = [r for r in rows if r["track_id"] == 2 and r["matched"] and r["stage"] != "birth"]
    assert [r["frame"] for r in matched] == list(range(1, 16))
    assert all(r["cost"] <= r["gate"] for r in matched)
    assert matched[0]["cost"] == pytest.approx(1 - 0.9 * matched[0]["term_iou"], abs=1e-6)
    assert (matched[0]["x1"], matched[0]["y2"]) == (600, 200)


def test_record_and_result_do_not_depend_on_each_other(switch):
    _, shown = switch
    silent = load_tracker("bytetrack")
    frames = [see((10 + 2 * t, 100), (600, 100)) for t in range(8)]
    frames += [see((320 + 2 * t, 100), (600, 100)) for t in range(8)]
    assert [silent.update(found).id.tolist() for found in frames] == shown
    with pytest.raises(DataError, match="record=True"):
        silent.take_record()


def test_taking_forgets(switch):
    engine, _ = switch
    assert len(engine.take_record())
    assert len(engine.take_record()) == 0


def test_says_why_a_track_ended_and_another_began(switch):
    text = why(switch[0].take_record(), ended=1, began=3)
    assert "Track 1 was last matched in frame 7" in text
    assert "no detection came near" in text
    assert "Track 3 began in frame 8" in text


def test_says_who_took_the_detection():
    """Two come together; one detection is left, and one of them has to go without."""
    frames = [see((10 + 4 * t, 100), (200 - 4 * t, 100)) for t in range(20)]
    frames += [see((100, 100)) for _ in range(3)]
    engine, shown = run(frames)
    (kept,) = shown[-1]
    table = engine.take_record()
    text = why(table, ended=3 - kept)
    assert "unassigned" in text
    assert f"taken by track {kept}" in text
    assert "not ended" in why(table, ended=kept)


def test_an_unknown_id_is_refused(switch):
    with pytest.raises(DataError, match="no track 9"):
        why(switch[0].take_record(), ended=9)


@pytest.mark.parametrize("gate", [2.0, 0.6])
def test_a_cost_that_depends_on_all_pairs_is_put_down_as_it_was_in_the_end(gate):
    """Deep OC-SORT's: to motion comes appearance, twice, by 0.75 and up to half more for what tells people apart."""
    random = np.random.default_rng(0)
    engine, people = load_tracker("deepocsort", overrides=[f"stages.0.gate={gate}"], record=True), np.eye(16)[:6]
    for t in range(40):
        x = 100 + 30.0 * np.arange(6) + np.where(np.arange(6) % 2, 3 * t, -3 * t)
        boxes = np.stack([x, x * 0 + 100, x + 40, x * 0 + 200], axis=1) + random.normal(0, 1, (6, 4))
        seen, looks = random.random(6) > 0.2, people + random.normal(0, 0.15, people.shape)
        looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        engine.update(Detections(boxes[seen], np.full(seen.sum(), 0.9), embedding=looks[seen]))
    rows = [row for row in engine.take_record().to_pylist() if row["stage"] == "1: adaptive"]
    judged = [row for row in rows if row["verdict"] in ("matched", "unassigned", "beyond the gate")]
    assert {row["verdict"] for row in judged} >= (
        {"matched", "unassigned"} if gate > 1 else {"matched", "beyond the gate"}
    )
    for row in judged:
        weight = (row["cost"] - row["term_motion"] - 0.2 * row["term_direction"]) / (2 * row["term_embedding"])
        assert 0.75 - 1e-6 <= weight <= 1.25 + 1e-6
        assert (row["cost"] > gate) == (row["verdict"] == "beyond the gate")
