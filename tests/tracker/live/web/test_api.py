"""The JSON API, health and metrics, over a scripted service."""

import logging
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tracker.errors import ConfigError, ReacquireError
from tracker.live.status import LATENCY_BOUNDS
from tracker.live.web import health
from tracker.live.web.guard import LARGEST_BODY
from tracker.live.web.server import _Redacting

SECRETS = ("hunter2", "admin")
HERE = {"Origin": "http://127.0.0.1:8080"}
GEOMETRY = "/api/cameras/door/geometry"
SQUARE = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.5], [0.1, 0.5]]


def zone(name="garden", polygon=SQUARE, **more):
    return {"name": name, "polygon": polygon, **more}


def put(page, geometry, headers=HERE, camera="door"):
    return page.put(f"/api/cameras/{camera}/geometry", json=geometry, headers=headers)


def assert_problem(answer, status):
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    content = answer.json()
    assert content["status"] == status
    assert {"type", "title", "detail"} <= set(content)
    return content


def test_status_of_service_and_cameras(live, client):
    page = client(live)
    live.service = replace(live.service, troubles={"webhook": "http://u:s3cret@h: refused"})
    found = page.get("/api/status").json()
    assert found["troubles"] == {"webhook": "http://***@h: refused"}
    assert (found["version"], found["detector_fps"], found["gpu_memory"]) == ("0.0.test", 20.0, 123_456)
    door, yard = found["cameras"]
    assert (door["state"], door["fps_in"], door["dropped"], door["counts"]) == ("live", 10.0, 12, {"person": 17})
    assert door["lines"] == [{"line": "kerb", "direction": "a_to_b", "counts": {"person": 4}}]
    assert door["zones"] == {"garden": {"person": 2}}
    assert yard["state"] == "reconnecting"
    assert yard["reason"].endswith("connection refused")
    assert page.get("/api/cameras").json() == found["cameras"]
    assert page.get("/api/cameras/yard").json() == yard


def test_tracks_are_fractions_of_the_picture(live, client):
    found = client(live).get("/api/cameras/door/tracks").json()
    snapshot = live.cameras["door"].snapshot
    assert [track["id"] for track in found["tracks"]] == [1, 2, 3]
    boxes = np.array([track["box"] for track in found["tracks"]]) * [640, 360, 640, 360]
    np.testing.assert_allclose(boxes, snapshot.tracks.xyxy, atol=0.01)
    assert found["tracks"][0]["class_name"] == "person"
    assert_problem(client(live).get("/api/cameras/yard/tracks"), 404)


def test_tracks_say_who_is_only_expected_where_they_are(live, client):
    door = live.cameras["door"]
    door.snapshot.tracks.detection[1] = -1
    found = client(live).get("/api/cameras/door/tracks").json()
    assert [track["predicted"] for track in found["tracks"]] == [False, True, False]


def test_picture_has_boxes_on_it_and_leaves_the_frame_alone(live, client):
    before = live.cameras["door"].snapshot.frame.copy()
    answer = client(live).get("/api/cameras/door/picture?size=grid")
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (360, 640, 3)
    x1, y1, x2, _ = live.cameras["door"].snapshot.tracks.xyxy[2].astype(int)
    assert np.abs(picture[y1 - 1 : y1 + 2, x1:x2].astype(int) - before[y1 - 1 : y1 + 2, x1:x2]).max() > 60
    np.testing.assert_array_equal(live.cameras["door"].snapshot.frame, before)


def test_pictures_are_capped_in_size(live, client):
    page = client(live, large={"width": 320, "fps": 5}, grid={"width": 160, "fps": 5})
    for size, width in (("large", 320), ("grid", 160)):
        content = page.get(f"/api/cameras/door/picture?size={size}").content
        assert cv2.imdecode(np.frombuffer(content, np.uint8), 1).shape == (width * 9 // 16, width, 3)


def test_asked_often_a_picture_is_encoded_once(live, client):
    page = client(live)
    assert len({page.get("/api/cameras/door/picture").content for _ in range(5)}) == 1
    assert page.app.state.context.gallery.encoded == 1


def test_identities_and_their_crops(live, client):
    page = client(live)
    found = page.get("/api/cameras/door/identities?limit=2").json()
    assert [one["id"] for one in found] == [1, 2]
    crop = page.get(found[0]["crop"])
    assert crop.headers["content-type"] == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(crop.content, np.uint8), 1).shape[0] == 110
    assert_problem(page.get("/api/cameras/door/identities/99/crop"), 404)


def test_events_oldest_first_by_camera_and_number(live, client):
    for number in range(5):
        live.happen("entered", "yard" if number % 2 else "door", number)
    page = client(live)
    assert [event["number"] for event in page.get("/api/events").json()] == [1, 2, 3, 4, 5]
    assert [event["number"] for event in page.get("/api/events?camera=door&after=1&limit=1").json()] == [5]
    assert_problem(page.get("/api/events?limit=0"), 422)


def test_geometry_there_and_back(live, client):
    page = client(live)
    line = {"name": "kerb", "points": [[0.5, 0.0], [0.5, 0.5], [0.6, 1.0]], "classes": ["person"]}
    answer = put(page, {"zones": [zone(dwell=5)], "lines": [line]})
    assert answer.status_code == 200
    assert answer.json() == {
        "zones": [zone(dwell=5.0, classes=None)],
        "lines": [line],
        "saved_in": "/etc/cameras.yaml",
    }
    camera, zones, lines = live.saved[0]
    assert camera == "door"
    assert zones == [{"name": "garden", "polygon": tuple(map(tuple, SQUARE)), "dwell": 5.0}]
    assert lines[0]["classes"] == ("person",)
    assert page.get("/api/cameras/door/geometry").json() == answer.json()


def test_two_who_edit_do_not_overwrite_one_another(live, client):
    page = client(live)
    tag = page.get("/api/cameras/door/geometry").headers["etag"]
    assert put(page, {"zones": [zone()]}, HERE | {"If-Match": tag}).status_code == 200
    assert_problem(put(page, {"zones": []}, HERE | {"If-Match": tag}), 412)
    assert (
        put(page, {"zones": []}, HERE | {"If-Match": f'"other", {page.get(GEOMETRY).headers["etag"]}'}).status_code
        == 200
    )
    assert len(live.saved) == 2


def test_what_is_written_nowhere_is_said(live, client):
    live.path = None
    assert put(client(live), {"zones": [zone()]}).json()["saved_in"] is None


@pytest.mark.parametrize(
    "geometry",
    [
        {"zones": [zone(polygon=SQUARE[:2])]},
        {"zones": [zone(polygon=[[0, 0], [1, 0], [1, 1.1]])]},
        {"zones": [zone(polygon=[[0, 0], [1, 0], [-0.1, 1]])]},
        {"zones": [zone(polygon=[[0, 0], [1, 0], [0.5]])]},
        {"zones": [zone(polygon=[[0, 0], [1, 0], ["a", 1]])]},
        {"zones": [zone(polygon=[[0.5, 0.5]] * 201)]},
        {"zones": [zone(f"z{i}") for i in range(65)]},
        {"zones": [zone(), zone("Garden")]},
        {"zones": [zone("<b>garden</b>")]},
        {"zones": [zone(name="")]},
        {"zones": [zone(name="   ")]},
        {"zones": [zone(name="a\nb")]},
        {"zones": [zone(name="x" * 65)]},
        {"zones": [zone(dwell=-1)]},
        {"zones": [zone(colour="red")]},
        {"lines": [{"name": "l", "points": [[0, 0]]}]},
        {"zones": "all"},
        {"source": "rtsp://elsewhere/"},
        [],
    ],
)
def test_geometry_that_makes_no_sense_is_refused(live, client, geometry):
    assert_problem(put(client(live), geometry), 422)
    assert live.saved == []


def test_numbers_that_are_none_are_refused(live, client):
    text = '{"zones":[{"name":"z","polygon":[[NaN,0],[1,0],[1,Infinity]]}]}'
    headers = HERE | {"Content-Type": "application/json"}
    answer = client(live).put("/api/cameras/door/geometry", content=text, headers=headers)
    assert_problem(answer, 422)


def test_what_the_service_refuses_is_a_problem_too(live, client):
    live.refuse = ConfigError("cameras.yaml: zones.0.polygon: crosses itself")
    assert "crosses itself" in assert_problem(put(client(live), {"zones": [zone()]}), 422)["detail"]
    live.refuse = ReacquireError("cameras.yaml: cannot be written: disk full")
    assert "disk full" in assert_problem(put(client(live), {"zones": [zone()]}), 503)["detail"]


def test_bodies_are_bounded(live, client):
    page, headers = client(live), HERE | {"Content-Type": "application/json"}
    big = b'{"zones": [' + b" " * LARGEST_BODY + b"]}"
    assert_problem(page.put("/api/cameras/door/geometry", content=big, headers=headers), 413)
    assert_problem(
        page.put("/api/cameras/door/geometry", content=iter([big[:50_000], big[50_000:]]), headers=headers), 413
    )
    assert_problem(
        page.put("/api/cameras/door/geometry", content=b"{}", headers=headers | {"Content-Length": "-5"}), 413
    )
    assert page.post("/login", content=big, headers=HERE).status_code == 413


@pytest.mark.parametrize(
    "name",
    ["../door", "..%2f..%2fetc%2fpasswd", "%2e%2e", "door%00", "door%2f..%2fyard", "nobody", "x" * 200, "%F0%9F%90%8E"],
)
def test_a_camera_s_name_is_no_path(live, client, name):
    page = client(live)
    for rest in ("", "/picture", "/geometry", "/stream", "/identities"):
        assert page.get(f"/api/cameras/{name}{rest}").status_code in (404, 422)
    assert put(page, {"zones": []}, camera=name).status_code in (404, 405, 422)
    assert live.saved == []


@pytest.mark.parametrize(
    "path",
    [
        "../pages.py",
        "..%2fpages.py",
        "%2e%2e/pages.py",
        "..\\pages.py",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "",
        "none.js",
    ],
)
def test_static_gives_the_page_s_files_and_no_other(live, client, path):
    answer = client(live).get(f"/static/{path}")
    assert answer.status_code == 404
    assert "import" not in answer.text


def test_static_files_are_not_sent_twice(live, client):
    page = client(live)
    first = page.get("/static/app.js")
    assert "javascript" in first.headers["content-type"]
    assert page.get("/static/app.js", headers={"If-None-Match": first.headers["etag"]}).status_code == 304


def test_sources_are_not_added_unless_allowed(make_live, client):
    new = {"name": "new", "source": "rtsp://admin:hunter2@10.0.0.6/"}
    taking = make_live(taking=True, door="live")
    assert_problem(client(taking).post("/api/cameras", json=new, headers=HERE), 403)
    assert_problem(client(make_live(door="live"), allow_sources=True).post("/api/cameras", json=new, headers=HERE), 403)
    assert list(taking.cameras) == ["door"]
    page = client(taking, allow_sources=True)
    answer = page.post("/api/cameras", json=new, headers=HERE)
    assert answer.status_code == 201
    assert list(taking.cameras) == ["door", "new"]
    twice = page.post("/api/cameras", json=new, headers=HERE)
    assert_problem(twice, 422)
    assert not any(secret in answer.text + twice.text for secret in SECRETS)
    for source in ("/etc/passwd", "file:///etc/passwd", "0", "rtsp://a b", "gopher://x/", ""):
        assert_problem(page.post("/api/cameras", json={"name": "n", "source": source}, headers=HERE), 422)
    assert_problem(page.post("/api/cameras", json={"name": "../x", "source": new["source"]}, headers=HERE), 422)


def test_passwords_of_cameras_appear_nowhere(live, client, caplog):
    caplog.set_level(logging.DEBUG)
    source = "rtsp://admin:hunter2@10.0.0.5/stream"
    live.happen("camera_lost", "yard", reason=f"{source}: timed out", more=[{"at": source}])
    page = client(live)
    paths = [
        "/api/status",
        "/api/cameras",
        "/api/events",
        "/api/cameras/yard",
        "/metrics",
        "/api/cameras/door/geometry",
    ]
    texts = [page.get(path).text for path in paths]
    assert "***@10.0.0.5" in texts[0]
    live.refuse = ConfigError(f"cameras.yaml: {source} makes no sense")
    texts.append(put(page, {"zones": [zone()]}).text)
    live.cameras["door"].broken = RuntimeError(f"cannot open {source}")
    failed = page.get("/api/status")
    texts += [failed.text, str(failed.headers), caplog.text]
    assert_problem(failed, 500)
    assert "RuntimeError" not in failed.text
    assert "RuntimeError" in caplog.text
    for text in texts:
        assert not any(secret in text for secret in SECRETS)


def test_redaction_of_a_log_with_a_traceback(caplog):
    logger = logging.getLogger("tests.redacted")
    logger.addFilter(_Redacting())
    try:
        int("rtsp://admin:hunter2@h/")
    except ValueError:
        logger.exception("lost %s", "rtsp://admin:hunter2@h/")
    assert "hunter2" not in caplog.text
    assert "lost" in caplog.text
    assert "***@h/" in caplog.text
    assert "ValueError" in caplog.text


def test_errors_are_problems(live, client):
    page = client(live)
    assert_problem(page.get("/nowhere"), 404)
    assert_problem(page.get("/api/cameras/nobody"), 404)
    answer = page.delete("/api/status", headers=HERE)
    content = assert_problem(answer, 405)
    assert content["title"] == "Method Not Allowed"
    assert answer.headers["allow"] == "GET"


def test_openapi_documents_what_there_is(live, client):
    document = (
        client(live, token="a-token-of-more-than-twenty")
        .get("/api/openapi.json", headers={"Authorization": "Bearer a-token-of-more-than-twenty"})
        .json()
    )
    assert document["openapi"].startswith("3.")
    assert {"/api/status", "/api/cameras/{name}/geometry", "/api/events", "/healthz", "/metrics"} <= set(
        document["paths"]
    )
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation.get("description"), path
            for status, answer in operation["responses"].items():
                if not status.startswith("2"):
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []


def test_health_is_about_the_service_and_readiness_about_cameras(make_live, client, monkeypatch):
    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)
    dead = client(make_live(a="reconnecting", b="starting"))
    assert dead.get("/healthz").status_code == 200
    assert_problem(dead.get("/readyz"), 503)
    assert client(make_live(a="reconnecting", b="live")).get("/readyz").json() == {"status": "ok"}


def test_health_notices_a_service_that_is_stuck_or_stalled(make_live, client, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)
    view = make_live(a="live")
    page = client(view)
    camera = view.cameras["a"]
    camera.status_now = replace(camera.status_now, fps_in=10.0, fps_out=0.0)
    assert page.get("/healthz").status_code == 200
    monkeypatch.setattr(health, "STALL_SECONDS", -1.0)
    assert assert_problem(page.get("/healthz"), 503)["detail"] == "stalled"
    monkeypatch.undo()
    monkeypatch.setattr(health, "FRESH_SECONDS", 0.0)
    camera.broken = RuntimeError("rtsp://admin:hunter2@h/")
    assert assert_problem(page.get("/healthz"), 503)["detail"] == "stuck"


def test_metrics(live, client):
    page = client(live)
    live.service = replace(live.service, troubles={"tracks": "the disk is full"})
    answer = page.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            samples[sample.name, *sorted(sample.labels.items())] = sample.value
    door = ("camera", "door")
    assert samples["reacquire_camera_fps_in", door] == 10.0
    assert samples["reacquire_camera_fps_out", door] == 9.8
    assert samples["reacquire_camera_frames_dropped_total", door] == 12
    assert samples["reacquire_camera_reconnects_total", door] == 1
    assert samples["reacquire_camera_tracks", door] == 3
    assert (samples["reacquire_camera_up", door], samples["reacquire_camera_up", ("camera", "yard")]) == (1, 0)
    assert samples["reacquire_camera_identities_total", door, ("class", "person")] == 17
    assert samples["reacquire_gpu_memory_bytes",] == 123_456
    assert samples["reacquire_trouble", ("what", "tracks")] == 1
    crossed = ("class", "person"), ("direction", "a_to_b"), ("line", "kerb")
    assert samples["reacquire_line_crossings_total", door, *crossed] == 4
    assert samples["reacquire_zone_objects", door, ("class", "person"), ("zone", "garden")] == 2
    buckets = {
        key[2][1]: value
        for key, value in samples.items()
        if key[0].endswith("latency_seconds_bucket") and key[1] == door
    }
    assert [buckets[str(bound)] for bound in LATENCY_BOUNDS[-2:]] == [0, 3]
    assert buckets["+Inf"] == samples["reacquire_camera_latency_seconds_count", door] == 4
    assert math.isclose(samples["reacquire_camera_latency_seconds_sum", door], 16.5)


def test_metrics_of_two_services_do_not_mix(live, make_live, client):
    one, other = client(live), client(make_live(only="live"))
    assert 'camera="only"' not in one.get("/metrics").text
    assert 'camera="door"' not in other.get("/metrics").text
