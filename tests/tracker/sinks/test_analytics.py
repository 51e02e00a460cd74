"""What a run says of zones and lines, on walkers whose ways are known and on real frames."""

import csv
import json

import numpy as np
import pytest
import yaml

from tracker import Frame
from tracker.analytics.zones import Scene, read_scene
from tracker.detection.ignoring import IgnoringDetector
from tracker.errors import ConfigError, WriteError
from tracker.protocols import Detector
from tracker.sinks import open_sink
from tracker.sinks.scene_overlay import SceneOverlay
from tracker.types import Detections, Tracks, TrackState

SIZE = (200, 100)
SCENE = Scene.model_validate(
    {
        "zones": [{"name": "left", "polygon": [[0, 0], [0.4, 0], [0.4, 1], [0, 1]]}],
        "lines": [{"name": "middle", "points": [[0.5, 0], [0.5, 1]]}],
    }
)


def tracks(where):
    """Objects by id at the pixel of their feet."""
    n = len(where)
    foot = np.array(list(where.values()), np.float32).reshape(n, 2)
    return Tracks(
        id=np.array(list(where), np.int64),
        xyxy=np.concatenate([foot - np.array([5, 30]), foot + np.array([5, 0])], 1).astype(np.float32),
        score=np.ones(n, np.float32),
        class_id=np.zeros(n, np.int64),
        detection=np.arange(n),
        state=np.full(n, TrackState.CONFIRMED, np.uint8),
    )


def run(folder, frames, scene=SCENE, rate=10):
    """Rows of every table."""
    with open_sink("analytics", folder, class_names={0: "person"}, scene=scene) as sink:
        for index, where in enumerate(frames):
            image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            sink.write(Frame(image, index, index / rate, "walk"), Detections.empty(), tracks(where))
    tables = {path.stem: list(csv.DictReader(path.open())) for path in (folder / "analytics").glob("*.csv")}
    return tables, list(sink.conclusion)


def test_a_walker_through_a_zone_and_over_a_line(tmp_path):
    tables, said = run(tmp_path, [{7: (10 + 2 * i, 80)} for i in range(90)])
    kinds = [(row["kind"], row["place"], row["direction"]) for row in tables["events"]]
    assert kinds == [("zone_entered", "left", ""), ("zone_left", "left", ""), ("line_crossed", "middle", "b_to_a")]
    assert said == ["middle: 0 a to b, 1 b to a"]
    (person,) = tables["identities"]
    assert (person["source"], person["id"], person["identity"], person["class"]) == ("walk", "7", "", "person")
    assert (float(person["start"]), float(person["end"])) == (0, 8.9)
    assert float(person["seconds_in_view"]) == pytest.approx(8.9)
    assert (float(person["first_x"]), float(person["last_x"]), person["zones"]) == (0.05, 0.94, "left")
    (view, zone) = sorted(tables["occupancy"], key=lambda row: row["place"] != "view")
    assert (view["place"], float(view["mean"]), view["most"], view["entered"]) == ("view", 1, "1", "1")
    assert (zone["place"], zone["entered"]) == ("left", "1")
    assert 0.3 < float(zone["mean"]) < 0.45
    assert (tmp_path / "analytics/heatmap.jpg").stat().st_size > 500


def test_nobody_is_counted_twice_whose_id_changes_on_the_line_or_who_trembles_there(tmp_path):
    changes = [{(1 if i < 20 else 2): (60 + 2 * i, 80)} for i in range(40)]  # the id changes at pixel 100
    assert run(tmp_path / "a", changes)[1] == ["middle: 0 a to b, 1 b to a"]
    unseen = [{} if 18 <= i < 23 else {(1 if i < 20 else 2): (60 + 2 * i, 80)} for i in range(40)]
    assert run(tmp_path / "b", unseen)[1] == ["middle: 0 a to b, 1 b to a"]
    trembles = [{1: (100 + (-1) ** i * 1.0, 80)} for i in range(50)]
    tables, said = run(tmp_path / "c", trembles)
    assert said == ["middle: 0 a to b, 0 b to a"]
    assert [row["b_to_a"] for row in tables["crossings"]] == ["0"]


def test_another_person_who_appears_elsewhere_does_not_take_over(tmp_path):
    frames = [{1: (60 + i, 80)} for i in range(30)] + [{2: (130 + i, 80)} for i in range(30)]
    assert run(tmp_path, frames)[1] == ["middle: 0 a to b, 0 b to a"]


def test_who_comes_back_on_the_other_side_was_not_seen_crossing(tmp_path):
    frames = [{1: (60 + i, 80)} for i in range(20)] + [{}] * 30 + [{1: (150 + i, 80)} for i in range(20)]
    assert run(tmp_path, frames)[1] == ["middle: 0 a to b, 0 b to a"]


def test_who_goes_out_of_sight_in_a_zone_leaves_it_after_a_while(tmp_path):
    frames = [{1: (20, 80)} if i < 20 else {} for i in range(120)]
    tables, _ = run(tmp_path, frames)
    left = [row for row in tables["events"] if row["kind"] == "zone_left"]
    assert len(left) == 1
    assert 5 < float(left[0]["time"]) < 8


def test_nothing_at_all_is_an_answer(tmp_path):
    tables, said = run(tmp_path, [])
    assert said == ["middle: 0 a to b, 0 b to a"]
    assert all(rows == [] for rows in tables.values())


def test_the_overlay_shows_zone_line_and_counts():
    plain = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    overlay = SceneOverlay(SCENE, {}, lambda frame, tracks: frame.image.copy())
    pictures = [overlay.draw(Frame(plain, i, i / 10), tracks({1: (60 + 2 * i, 80)})).astype(int) for i in range(40)]
    changed = np.abs(pictures[0] - plain).sum(2)
    assert changed[70:95, 5:60].min() > 0  # the zone's tint
    assert changed[70:95, 99:101].max() > 100  # the line
    assert changed[80:95, 150:].max() == 0
    assert (pictures[0] != pictures[-1]).any()  # counts went on
    assert (plain == 90).all()


def test_the_overlay_forgets_who_left_the_picture_out_of_a_zone():
    zone = SCENE.model_copy(update={"lines": ()})  # whose label would lie over the zone's in so small a picture
    overlay = SceneOverlay(zone, {}, lambda frame, tracks: frame.image.copy())
    plain = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
    empty = overlay.draw(Frame(plain, 0, 0.0), tracks({}))
    full = overlay.draw(Frame(plain, 1, 0.1), tracks({1: (20, 80)}))
    assert (full != empty).any()
    np.testing.assert_array_equal(overlay.draw(Frame(plain, 2, 9.0), tracks({})), empty)


def test_what_is_ignored_is_not_seen_and_the_end_is_told_to_the_detector():
    class Told(Detector):
        class_names = {0: "person"}  # noqa: RUF012
        frames = None

        def detect(self, frames):
            return [Detections([[0, 0, 20, 20], [150, 50, 170, 90]], [0.9, 0.8], [0, 0]) for _ in frames]

        def describe(self):
            return {}

        def end(self, frames):
            self.frames = frames

    detector = Told()
    ignoring = IgnoringDetector(detector, [((0.7, 0.4), (1.0, 0.4), (1.0, 1.0), (0.7, 1.0))])
    (found,) = ignoring.detect([Frame(np.zeros((SIZE[1], SIZE[0], 3), np.uint8), 0, 0.0)])
    np.testing.assert_array_equal(found.xyxy, [[0, 0, 20, 20]])
    ignoring.end(7)
    assert detector.frames == 7


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"zone": []}, "zone: unknown key; did you mean 'zones'"),
        ({"zones": [{"name": "a", "polygon": [[0, 0], [1, 1]]}]}, r"zones\.0\.polygon"),
        ({"lines": [{"name": "a", "points": [[0, 0], [1, 2]]}]}, r"lines\.0\.points\.1"),
        ({"lines": [{"name": "a", "points": [[0, 0], [1, 1]]}] * 2}, "the name 'a' stands for two"),
    ],
)
def test_a_wrong_scene_is_told(tmp_path, content, message):
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=message):
        read_scene(tmp_path / "s.yaml")


def test_a_cameras_file_of_one_camera_is_a_scene(tmp_path):
    line = {"name": "door", "points": [[0.1, 0.2], [0.3, 0.4]]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump({"cameras": [{"name": "x", "source": "0", "lines": [line]}]}))
    assert [line.name for line in read_scene(tmp_path / "c.yaml").lines] == ["door"]


def test_a_disk_that_is_full_leaves_whole_tables_alone(tmp_path, files_no_larger_than):
    frames = [{7: (10 + 2 * i, 80)} for i in range(90)]
    run(tmp_path / "whole", frames)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole/analytics").iterdir()}
    for limit in (0, 20, 60, 150, 400, 900):
        folder = tmp_path / str(limit)
        folder.mkdir()
        with files_no_larger_than(limit), pytest.raises(WriteError, match="cannot be written: File too large"):
            run(folder, frames)
        there = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for name, content in there.items():
            if name == "events.csv":  # grows: whole lines, the first ones
                assert whole[name].startswith(content)
                assert not content or content.endswith(b"\n")
            else:
                assert content == whole[name]


def test_a_real_clip_by_command(clip, tmp_path):
    """The line's count is no more than the people who were seen, and who is ignored is not seen."""
    from typer.testing import CliRunner

    from tracker.cli.app import app

    scene = {
        "lines": [{"name": "across", "points": [[0.5, 0], [0.5, 1]]}],
        "ignore": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]],
    }
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(scene))
    arguments = ["track", str(clip), "--zones", str(tmp_path / "s.yaml"), "--save", "csv", "--max-frames", "40"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run"), "--reid", "none"])
    assert done.exit_code == 0, done.output
    assert "across:" in done.output
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["save"] == ["csv", "analytics"]
    assert record["scene"]["lines"][0]["name"] == "across"
    assert record["detector"]["ignored_polygons"] == 1
    rows = list(csv.DictReader((tmp_path / "run/analytics/identities.csv").open()))
    assert rows
    assert min(float(row["first_x"]) for row in rows) > 0.4
