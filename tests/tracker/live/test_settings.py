"""The cameras' file: mistakes are named, passwords are not."""

from urllib.parse import quote

import pytest
import yaml

from tracker.errors import ConfigError
from tracker.live.reader import open_camera
from tracker.live.settings import load_live_settings, single_source
from tracker.sources.stream import PlayedFile, Webcam

CAMERA = {"name": "gate", "source": "rtsp://admin:s3cret@10.0.0.2/ch1"}


def load(tmp_path, content, **environment):
    path = tmp_path / "cameras.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return load_live_settings(path, environment)


def test_the_example_is_right(root):
    settings = load_live_settings(
        root / "configs/cameras.example.yaml", {"GATE_PASSWORD": "x", "MQTT_PASSWORD": "y", "WEBHOOK_TOKEN": "z"}
    )
    assert len(settings.cameras) >= 3
    assert settings.cameras[0].source.get_secret_value().startswith("rtsp://")


def test_defaults_lie_under_each_camera(tmp_path):
    settings = load(
        tmp_path,
        {
            "defaults": {"target_fps": 5, "tracker": "bytetrack", "classes": ["person"]},
            "cameras": [CAMERA, {"name": "yard", "source": 0, "target_fps": 10, "tracker": "reacquire"}],
        },
    )
    gate, yard = settings.cameras
    assert (gate.target_fps, gate.tracker.name, gate.classes) == (5, "bytetrack", ("person",))
    assert (yard.target_fps, yard.tracker.name, yard.source.get_secret_value()) == (10, "reacquire", "0")


def test_the_environment_fills_in(tmp_path):
    camera = CAMERA | {"source": "rtsp://admin:${GATE_PASSWORD}@10.0.0.2/ch1"}
    settings = load(tmp_path, {"cameras": [camera]}, GATE_PASSWORD="s3cret")
    assert settings.cameras[0].source.get_secret_value() == CAMERA["source"]
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in settings.model_dump_json()
    with pytest.raises(ConfigError, match="GATE_PASSWORD"):
        load(tmp_path, {"cameras": [camera]})
    for password, written in (("p@s/s:w#1", "p%40s%2Fs%3Aw%231"), ("p%40ss", "p%40ss")):
        settings = load(tmp_path, {"cameras": [camera]}, GATE_PASSWORD=password)
        assert settings.cameras[0].source.get_secret_value() == f"rtsp://admin:{written}@10.0.0.2/ch1"
    settings = load(tmp_path, {"cameras": [camera | {"source": "${URL}"}]}, URL="rtsp://a:b@h/x?y=1")
    assert settings.cameras[0].source.get_secret_value() == "rtsp://a:b@h/x?y=1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targetfps": 5}, r"cameras\.0\.targetfps: unknown key; did you mean 'target_fps'"),
        ({"target_fps": 0}, r"cameras\.0\.target_fps: .*greater than 0"),
        ({"tracker": "bytetrak"}, r"cameras\.0\.tracker: .*did you mean 'bytetrack'"),
        ({"tracker": {"stages": []}}, r"cameras\.0\.tracker\.stages"),
        ({"source": "rtspp://u:s3cret@h"}, r"cameras\.0\.source: expected an address that begins with rtsp://"),
        ({"source": ["rtsp://u:s3cret@h"]}, r"cameras\.0\.source"),
        ({"source": "gone.mp4"}, r"cameras\.0\.source: gone\.mp4: no such file"),
        ({"name": "../x"}, r"cameras\.0\.name"),
        ({"zones": [{"name": "z", "polygon": [[0, 0], [1, 1]]}]}, r"cameras\.0\.zones\.0\.polygon: .*at least 3"),
        ({"zones": [{"name": "z", "polygon": [[0, 0], [100, 0], [1, 1]]}]}, r"zones\.0\.polygon\.1\.0: .*less than"),
        ({"lines": [{"name": "l", "points": [[0, 0], [1, 1]]}] * 2}, r"the line 'l' is there twice"),
        ({"name": "a/b"}, r"cameras\.0\.name: a name has letters, digits, spaces, dots and hyphens"),
        ({"source": "10.0.0.2:554/s3cret@x"}, r"cameras\.0\.source: .*begins with rtsp:// or http://"),
        ({"source": "/"}, r"cameras\.0\.source: /: a folder, not a video"),
        ({"record": True}, r"cameras\.0\.record: expected keys and values, got True$"),
        ({"classes": "person"}, r"cameras\.0\.classes: expected a list, got 'person'$"),
        ({"record": {"blurr": True}}, r"cameras\.0\.record\.blurr: unknown key; did you mean 'blur'"),
    ],
)
def test_mistakes_are_named_and_passwords_are_not(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, {"cameras": [CAMERA | change]})
    assert "s3cret" not in str(caught.value)
    assert str(tmp_path / "cameras.yaml") in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cameras": []}, "cameras: .*at least 1"),
        ({"cameras": [CAMERA, CAMERA]}, "the camera 'gate' is there twice"),
        ({"cameras": {"gate": CAMERA}}, "cameras: expected a list$"),
        ({"web": {"token": 12345}, "cameras": [CAMERA]}, r"web\.token: expected a valid string$"),
        ({"camera": [CAMERA]}, "camera: unknown key; did you mean 'cameras'"),
        ({"cameras": [CAMERA], "defaults": 3}, "defaults: expected keys of a camera"),
        ({"cameras": [CAMERA], "mqtt": {"host": "h", "topic": "a/#"}}, "mqtt.topic"),
        ({"cameras": [CAMERA], "webhook": {"url": "ftp://u:s3cret@h"}}, r"webhook\.url: URL scheme"),
        ("cameras:\n  - name: a\n    name: b\n", "line 3: key 'name' is there twice"),
    ],
)
def test_mistakes_of_the_whole_file(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, content)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("section", ["web", "detector", "webhook"])
def test_a_variable_where_a_section_belongs_is_a_text(tmp_path, section):
    with pytest.raises(ConfigError, match=rf"{section}: expected keys and values, got a text$"):
        load(tmp_path, {"cameras": [CAMERA], section: "${P}"}, P="s3cret")


@pytest.mark.parametrize("host", ["${P}", "0.0.0.0"])
def test_a_host_from_the_environment_is_not_told(tmp_path, host):
    settings = load(tmp_path, {"cameras": [CAMERA], "web": {"host": host}}, P="s3cret")
    with pytest.raises(ConfigError, match=r"web\.host: other machines could see") as told:
        settings.web.check()
    assert "s3cret" not in str(told.value)


def test_what_is_easily_written_otherwise_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "film.mp4").write_bytes(b"x")
    (tmp_path / "cameras").mkdir()
    text = "cameras:\n- {name: 12, source: ~/film.mp4, zones: , lines: }\n- {name: desk, source: /dev/video7}\n"
    settings = load(tmp_path / "cameras", text + "folder: ~/out\n")
    assert settings.folder == tmp_path / "out"
    assert [camera.name for camera in settings.cameras] == ["12", "desk"]
    assert settings.cameras[0].source.get_secret_value() == str(tmp_path / "film.mp4")
    assert isinstance(open_camera(settings.cameras[1], 0.0, lambda: None), Webcam)


def test_one_source_needs_no_file(clip):
    assert single_source("0").cameras[0].name == "camera"
    assert single_source("rtsp://u:s3cret@h/x").cameras[0].name == "camera"
    assert single_source(str(clip)).cameras[0].name == "plaza"
    with pytest.raises(ConfigError, match="no such file"):
        single_source("nothing.mp4")


@pytest.mark.parametrize("password", ["s3cret#1", "s3cret/a", "s3cret?b", "s3c@ret", "s3 cret"])
def test_a_password_as_people_write_it_is_right_and_connects(tmp_path, password):
    (camera,) = load(tmp_path, {"cameras": [CAMERA | {"source": f"rtsp://admin:{password}@127.0.0.1:9/s1"}]}).cameras
    source = open_camera(camera, 0.0, lambda: None)
    assert source._address == f"rtsp://admin:{quote(password)}@127.0.0.1:9/s1".replace("s3cret/a", "s3cret%2Fa")


@pytest.mark.parametrize("address", ["rtsp://admin:12/s3cret@10.0.0.5/s", "rtsp://admin:s3cret/a", "rtsp://"])
def test_an_address_that_cannot_connect_is_refused(tmp_path, address):
    with pytest.raises(ConfigError, match=r"cameras\.0\.source: .* / as %2F") as caught:
        load(tmp_path, {"cameras": [CAMERA | {"source": address}]})
    assert "s3cret" not in str(caught.value)


def test_a_file_address_is_a_file(clip, tmp_path):
    (camera,) = load(tmp_path, {"cameras": [CAMERA | {"source": clip.as_uri(), "max_pixels": 1000}]}).cameras
    source = open_camera(camera, 0.0, lambda: None)
    assert isinstance(source, PlayedFile)
    source.start()
    source.close()
    assert source.received == 0  # its pictures are larger
