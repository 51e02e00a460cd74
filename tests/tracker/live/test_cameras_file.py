"""Zones and lines are written into the cameras' file: all else stays as it was written, whatever its layout."""

import contextlib
import os
import random
import re
import shutil
import stat

import pytest
import yaml

from tracker.cli.live import _settings
from tracker.errors import ConfigError, ReacquireError
from tracker.live import cameras_file
from tracker.live.cameras_file import BACKUPS, save_geometry, with_geometry, zones_file
from tracker.live.service import LiveService
from tracker.live.settings import load_live_settings
from tracker.yaml_file import parse_yaml

FILE = """\
# All our cameras.
cameras:
  - name: gate   # the front
    source: rtsp://admin:${GATE_PASSWORD}@10.0.0.2/ch1
    zones:
      - {name: old, polygon: [[0, 0], [1, 0], [1, 1]]}
  # The back.
  - name: yard
    source: "0"
"""
ZONE = {"name": "door", "polygon": [[0.1, 0.2], [0.3, 0.2], [0.3, 0.4]], "dwell": 5.0}
LINE = {"name": "kerb", "points": [[0.0, 0.5], [1.0, 0.5]]}
LAYOUTS = {
    "plain": FILE,
    "windows": FILE.replace("\n", "\r\n"),
    "empty lines first": "\n\n" + FILE,
    "flow": "cameras: [{name: gate, source: '0'}, {name: yard, source: '1', zones: []}]",
    "flow, a comma too many": "cameras: [{name: gate, source: '0', zones: [], lines: [], }]  # end",
    "JSON": '{"cameras": [{"name": "gate", "source": "0", "zones": []}, {"name": "yard", "source": "1"}], "batch": 1}',
    "first key": "cameras:\n- zones: []\n  name: gate\n  source: '0'\n# end",
    "no newline at the end": "cameras:\n- name: gate\n  source: '0'",
    "a comment at the end": "cameras:\n- name: gate\n  source: '0'  # last\n  # more\n# end",
}
MORE = r"""=== flow over lines
cameras: [
  {name: gate,  # here
   zones: [{name: a,  # it
    polygon: [[0, 0], [1, 0],
    [1, 1]]}],
   # odd
   source: '0'},
  {name: yard, source: '1'}]
=== nothing behind the key
cameras:
- name: gate
  zones:   # none yet
  # soon
  source: '0'
=== one space
cameras:
 - name: gate
   source: '0'
 - name: yard
   source: '1'
=== far in
cameras:
      -     name: gate
            source: '0'
      -     name: yard
            source: '1'
=== dash alone
cameras:
  -   # the first
    name: gate
    source: '0'
  -
    name: yard
    source: '1'
=== quoted keys
"cameras":
- 'name': "gate"
  "zones": []
  'source': '0'
=== literal block
cameras:
- name: gate
  source: |-
    rtsp://h/#x

- name: yard
  source: '0'
=== folded block
cameras:
- name: gate
  source: >-
    rtsp://h/
    x
# about the yard
- name: yard
  source: '0'
=== kept newlines
cameras:
- name: gate
  source: |+
    rtsp://h/


- name: yard
  source: '0'
=== block name
cameras:
- name: >-
    gate
  source: '0'
- name: |-
    yard
  source: '0'
=== block in a zone
cameras:
- name: gate
  zones:
  - polygon: [[0, 0], [1, 0], [1, 1]]
    name: |-
      a

  # between
  source: '0'
=== text over lines
cameras:
- name: gate
  source: "rtsp://h/\
    x"
- name: yard
  source: 'a

    b'
=== plain text over lines
cameras:
- name: gate
  source: a
   b # c
- name: yard
  source: '0'
=== alias
x: &z [{name: a, polygon: [[0, 0], [1, 0], [1, 1]]}]
cameras:
- name: gate
  source: '0'
  zones: *z
- name: yard
  zones: *z
=== alias last
x: &z [{name: a, polygon: [[0, 0], [1, 0], [1, 1]]}]
cameras:
- name: gate
  zones: *z  # as there
=== anchor
cameras:
- name: gate
  zones: &z [{name: a, polygon: [[0, 0], [1, 0], [1, 1]]}]
  source: '0'
- name: yard
  zones: *z
- {name: c, zones: *z}
=== anchor within
cameras:
- name: gate
  zones:
  - name: &n a
    polygon: &p
    - [0, 0]
    - [1, 0]
    - [1, 1]
  region: *p
- name: yard
  title: *n
  region: *p
=== merged
cameras:
- &g
  name: gate
  source: '0'
- <<: *g
  name: yard
=== merged with zones
cameras:
- &g {name: gate, zones: [{name: a, polygon: [[0, 0], [1, 0], [1, 1]]}]}
- <<: *g
  name: yard
  source: '1'
- name: c
=== merges
x: &x
  zones: [{name: a, polygon: [[0, 0], [1, 0], [1, 1]]}]
  source: '0'
cameras:
- name: gate
  <<: *x
- name: yard
  <<: *x
=== defaults
defaults:
  zones: [{name: a, polygon: [[0, 0], [1, 0], [1, 1]]}]
cameras:
- {name: gate, source: '0'}
- {name: yard, source: '1'}
=== anchor of defaults
cameras:
- name: gate
  zones: &z [{name: a, polygon: [[0, 0], [1, 0], [1, 1]]}]
- name: yard
defaults:
  zones: *z
=== document marks
%YAML 1.2
--- # cameras
cameras:
- name: gate
  source: '0'
...
# after
=== comments everywhere
# 1
cameras:  # 2
# 3
  # 4
  - # 5
    # 6
    name: gate  # 7
    zones:  # 8
      # 9
      - name: a  # 10
        # 11
        polygon:  # 12
          - [0, 0]  # 13
          # 14
          - [1, 0]
          - [1, 1]  # 15
          # 16
      # 17
    # 18
    source: '0#no'  # 19
  # 20
batch: 1
# 21
=== odd names
cameras:
- {name: 12, source: '0'}
- {name: gate, source: '1', zones: []}
- {name: 'gate ', source: '1'}
=== keys alike
cameras:
- name: gate
  record: {zones: 1}
  x: {name: gate, zones: [1]}
  source: 'zones:'
other: {cameras: [{name: gate, zones: []}]}
=== values
cameras:
- name: gate
  a: no
  b: 0o17
  c: 007
  d: 1_000
  e: 2024-01-01
  f: ~
  g:
  h: 1e3
  i: .inf
  j: 1:30
  k: 12345678901234567890123
"""
LAYOUTS |= {name: text for name, _, text in (part.partition("\n") for part in MORE.split("=== ")[1:])}


def geometry(content, camera):
    defaults = content.get("defaults") or {}
    entry = next(entry for entry in content["cameras"] if entry["name"] == camera)
    return entry.get("zones", defaults.get("zones")) or []


def without_zones(content):
    return content | {
        "cameras": [{k: v for k, v in entry.items() if k not in ("zones", "lines")} for entry in content["cameras"]]
    }


def comments(text):
    return sorted(part.strip() for line in text.splitlines() for part in line.split("# ")[1:])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_is_kept(layout):
    text = content = LAYOUTS[layout]
    before = parse_yaml(content, "")
    others = [entry["name"] for entry in before["cameras"] if entry["name"] != "gate"]
    for items in ([ZONE], [ZONE, ZONE | {"name": "Füße", "classes": ["person"]}], [], [ZONE]):
        text = with_geometry(text, "gate", {"zones": items, "lines": [LINE]})
        after = parse_yaml(text, "")
        assert geometry(after, "gate") == items
        assert next(entry for entry in after["cameras"] if entry["name"] == "gate")["lines"] == [LINE]
        assert without_zones(after) == without_zones(before)
        assert [geometry(after, name) for name in others] == [geometry(before, name) for name in others]
        assert comments(text) == comments(content)
        assert text.count("\r\n") in (0, text.count("\n"))


def test_only_what_is_written_changes():
    after = with_geometry(FILE, "gate", {"zones": [ZONE], "lines": [LINE]})
    old = "    zones:\n      - {name: old, polygon: [[0, 0], [1, 0], [1, 1]]}\n"
    zones = "    zones:\n      - {name: door, polygon: [[0.1, 0.2], [0.3, 0.2], [0.3, 0.4]], dwell: 5.0}\n"
    lines = "    lines:\n      - {name: kerb, points: [[0.0, 0.5], [1.0, 0.5]]}\n"
    assert after == FILE.replace(old, zones + lines)
    assert with_geometry(after, "gate", {"zones": [ZONE], "lines": [LINE]}) == after
    assert with_geometry(FILE, "yard", {"zones": [], "lines": []}) == FILE


@pytest.mark.parametrize(
    "name", ["no", "1:30", "0o17", "1e3", "007", "true", "null", "12", "_x", "a.", "a - b", "a  b", "Ω", "2024-01-01"]
)
def test_names_come_back_as_they_were(name):
    after = with_geometry(FILE, "gate", {"zones": [ZONE | {"name": name}], "lines": []})
    assert parse_yaml(after, "")["cameras"][0]["zones"][0]["name"] == name
    assert yaml.safe_load(after)["cameras"][0]["zones"][0]["name"] == name  # also to who reads YAML 1.1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FILE.replace("yard", "gate"), "in it 2 times"),
        (FILE.replace("gate  ", "front"), "no longer in it"),
        (FILE + "---\ncameras: []\n", "single document"),
        (FILE + "    zones: []\n    zones: []\n", "there twice"),
        ("cameras: {}\n", "no list of cameras"),
        ("cameras: [gate]\n", "no list of cameras"),
        ("- name: gate\n", "no list of cameras"),
        ("", "no list of cameras"),
        ("cameras: [", "line 1"),
        ("cameras:\n- ? name\n  : gate\n  ? source\n  : |+\n    x\n\n", "laid out"),
    ],
)
def test_what_cannot_be_changed_is_refused_and_left(tmp_path, text, words):
    path = tmp_path / "cameras.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        save_geometry(path, "gate", [ZONE], [LINE])
    assert path.read_text(encoding="utf-8") == text
    assert os.listdir(tmp_path) == ["cameras.yaml"]


def test_a_wrong_edit_is_never_written(tmp_path, monkeypatch):
    """Whatever the place that is found: the text is read again and compared."""
    path = tmp_path / "cameras.yaml"
    path.write_text(FILE, encoding="utf-8")
    wrong = FILE.replace("yard", "shed").replace("name: old", "name: door")
    monkeypatch.setattr(cameras_file, "_ways", lambda *_: iter([FILE + "    zones: []\n", wrong, "cameras: ["]))
    with pytest.raises(ConfigError, match="nothing was saved"):
        save_geometry(path, "gate", [ZONE], [])
    assert path.read_text(encoding="utf-8") == FILE


def test_zones_are_saved_with_a_backup(tmp_path):
    path = tmp_path / "cameras.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FILE.encode())
    copy = save_geometry(path, "gate", [ZONE], [LINE])
    assert copy.read_bytes() == b"\xef\xbb\xbf" + FILE.encode()
    assert path.read_bytes().startswith(b"\xef\xbb\xbf# All")
    gate, yard = load_live_settings(path, {"GATE_PASSWORD": "x"}).cameras
    assert (gate.zones[0].name, gate.lines[0].points) == ("door", ((0.0, 0.5), (1.0, 0.5)))
    assert yard.zones == ()
    save_geometry(path, "gate", [], [])
    assert load_live_settings(path, {"GATE_PASSWORD": "x"}).cameras[0].zones == ()


def test_backups_do_not_pile_up(tmp_path):
    path, other = tmp_path / "[c].yaml", tmp_path / "c.yaml.20200101T000000.000000Z.bak"
    path.write_text(FILE, encoding="utf-8")
    other.touch()
    for _ in range(BACKUPS + 5):
        save_geometry(path, "yard", [ZONE], [])
    assert len(list(tmp_path.iterdir())) == BACKUPS + 2
    assert other.exists()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_nobody_reads_a_copy_who_may_not_read_the_file(tmp_path, monkeypatch, mode):
    """Looked at whenever the service touches a file, under a umask that lets everybody read."""
    path = tmp_path / "cameras.yaml"
    path.write_text(FILE, encoding="utf-8")
    path.chmod(mode)
    seen, steps = [], 0

    def watched(function):
        def step(*arguments, **options):
            nonlocal steps
            steps += 1
            seen.extend(stat.S_IMODE(found.stat().st_mode) for found in tmp_path.iterdir())
            answer = function(*arguments, **options)
            seen.extend(stat.S_IMODE(found.stat().st_mode) for found in tmp_path.iterdir())
            return answer

        return step

    for name in ("open", "close", "chmod", "chown", "replace", "fsync"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    before = os.umask(0)
    try:
        copy = save_geometry(path, "gate", [ZONE], [])
    finally:
        os.umask(before)
    assert steps >= 10
    assert not any(found & ~(mode | 0o600) for found in seen)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(copy.stat().st_mode) == mode


def test_a_link_stays_one_and_what_it_names_is_written(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "repo").mkdir()
    real, link = tmp_path / "repo/cameras.yaml", tmp_path / "etc/cameras.yaml"
    real.write_text(FILE, encoding="utf-8")
    real.chmod(0o600)
    link.symlink_to("../repo/cameras.yaml")
    copy = save_geometry(link, "gate", [ZONE], [])
    assert os.readlink(link) == "../repo/cameras.yaml"
    assert "door" in real.read_text(encoding="utf-8")
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert (copy.parent, copy.read_text(encoding="utf-8")) == (real.parent, FILE)
    assert os.listdir(tmp_path / "etc") == ["cameras.yaml"]


def test_what_lies_in_the_way_is_not_followed(tmp_path):
    path, precious = tmp_path / "cameras.yaml", tmp_path / "precious"
    path.write_text(FILE, encoding="utf-8")
    precious.write_text("precious")
    (tmp_path / "cameras.partial.yaml").symlink_to(precious)
    save_geometry(path, "gate", [ZONE], [])
    assert precious.read_text() == "precious"
    assert not path.is_symlink()


@pytest.mark.parametrize("fails", ["replace", "fsync", "chmod"])
def test_a_failed_write_leaves_the_file(tmp_path, monkeypatch, fails):
    path = tmp_path / "cameras.yaml"
    path.write_text(FILE, encoding="utf-8")

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, fails, fail)
    with pytest.raises(ReacquireError, match="disk is full"):
        save_geometry(path, "gate", [ZONE], [])
    assert path.read_text(encoding="utf-8") == FILE
    assert os.listdir(tmp_path) == ["cameras.yaml"]


def test_a_video_s_zones_get_a_file_beside_it(tmp_path):
    path = tmp_path / "12:30 #1.mp4.zones.yaml"
    (tmp_path / "12:30 #1.mp4").touch()
    assert save_geometry(path, "12-30-1", [ZONE], [LINE]) is None
    only = load_live_settings(path, {}).cameras[0]
    assert (only.name, only.source.get_secret_value()) == ("12-30-1", str(tmp_path / "12:30 #1.mp4"))
    assert [zone.name for zone in only.zones] == ["door"]
    assert save_geometry(path, "12-30-1", [], [LINE]).name.endswith(".bak")
    with pytest.raises(ReacquireError, match="No such file"):
        save_geometry(tmp_path / "cameras.yaml", "gate", [ZONE], [])


def test_what_is_drawn_on_a_video_is_there_at_the_next_start(tmp_path, clip, stub_detector):
    video = tmp_path / "a plaza.mp4"
    shutil.copy(clip, video)

    def start():
        settings, path = _settings(str(video), None, None, tmp_path / "out")
        return LiveService(settings, path, detector=stub_detector())

    service = start()
    assert [path.name for path in tmp_path.iterdir()] == ["a plaza.mp4"]
    service.set_geometry("a-plaza", [ZONE], [LINE])
    beside = tmp_path / "a plaza.mp4.zones.yaml"
    assert service.saved_in("a-plaza") == beside
    again = start().settings.cameras[0]
    assert ([zone.name for zone in again.zones], [line.name for line in again.lines]) == (["door"], ["kerb"])
    assert again.source.get_secret_value() == str(video)
    beside.write_text("cameras: [{name: other, source: '0'}]")
    with pytest.raises(ConfigError, match=r"a plaza.mp4.zones.yaml: there is no camera 'a-plaza'"):
        start()


def test_a_file_is_one_however_it_is_named(tmp_path, monkeypatch):
    video = tmp_path / "12:30 a.mp4"
    video.touch()
    beside = tmp_path / "12:30 a.mp4.zones.yaml"
    assert zones_file(str(video)) == zones_file(f"file://{tmp_path}/12%3A30%20a.mp4") == beside
    monkeypatch.setenv("HOME", str(tmp_path))
    assert zones_file("~/12:30 a.mp4") == beside
    for other in ("0", "rtsp://h/x", "none.mp4", str(tmp_path), "~nobody-of-that-name/x"):
        assert zones_file(other) is None


def test_what_is_drawn_on_a_webcam_or_an_address_is_in_no_file(stub_detector, tmp_path):
    for source in ("0", "rtsp://u:p@127.0.0.1:9/x"):
        settings, path = _settings(source, None, None, tmp_path)
        service = LiveService(settings, path, detector=stub_detector())
        service.set_geometry("camera", [ZONE], [])
        assert service.saved_in("camera") is None
        assert service.cameras["camera"].settings.zones[0].name == "door"
    assert list(tmp_path.iterdir()) == []


class Written(yaml.SafeDumper):
    """Writes lists in mappings further in, where asked to."""

    further = False

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, indentless and not self.further)


def made_up(r):
    """A file of cameras in a layout of any kind, with anchors where values are shared, and comments between."""
    shared = [{"name": r.choice(["a", "b c", "1:30", "no", "x\ny", "#h"]), "polygon": [[0.1, r.random()]] * 3}]
    corners = [[0, 0], [1, 0], [1, 1]]
    cameras = []
    for number in range(r.randint(1, 4)):
        source = r.choice(["0", "rtsp://h/x #y", "a\nb\n\n", "many words " * 10, "*x", "{z"])
        keys = {"name": f"c{number}", "source": source, "zones": r.choice([shared, [], None, [dict(shared[0])] * 2])}
        keys |= {"lines": [{"name": "l", "points": corners}], "region": corners, "record": {"note": "x\n\ny\n"}}
        chosen = ["name", "source", *r.sample(["zones", "lines", "region", "record"], r.randint(0, 4))]
        cameras.append({key: keys[key] for key in r.sample(chosen, len(chosen))})
    whole = {"cameras": cameras, "batch": 1, "defaults": {"zones": shared}, "x": {"z": shared, "c": corners}}
    Written.further = r.random() < 0.5
    text = yaml.dump(
        {key: whole[key] for key in r.sample(list(whole), r.randint(2, 4)) if key != "cameras"} | {"cameras": cameras},
        Dumper=Written,
        sort_keys=False,
        default_flow_style=r.choice([None, True, False]),
        default_style=r.choice([None, None, None, '"', "'", "|", ">"]),
        indent=r.choice([2, 3, 4, 8]),
        width=r.choice([20, 80, 1000]),
        explicit_start=r.random() < 0.2,
    )
    spread = "\n".join(
        f"{line} # {i}" if line and r.random() < 0.3 else line for i, line in enumerate(text.split("\n"))
    )
    with contextlib.suppress(ConfigError):
        text = spread if parse_yaml(spread, "") == parse_yaml(text, "") else text  # not in the middle of a text
    return text.replace("\n", r.choice(["\n", "\n", "\r\n"]))


@pytest.mark.parametrize("seed", range(120))
def test_layouts_made_up(seed):
    r = random.Random(seed)
    text = made_up(r)
    before = parse_yaml(text, "")
    names = [entry["name"] for entry in before["cameras"]]
    chosen = r.choice(names)
    items = r.choice([[ZONE], [ZONE], []])
    changed = with_geometry(text, chosen, {"zones": items, "lines": [LINE]})
    after = parse_yaml(changed, "")
    assert without_zones(after) == without_zones(before)
    assert [geometry(after, n) for n in names] == [items if n == chosen else geometry(before, n) for n in names]
    assert sorted(re.findall(r"# \d+", changed)) == sorted(re.findall(r"# \d+", text))


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files_are_refused_in_a_sentence_or_changed_rightly(seed):
    r = random.Random(seed)
    for _ in range(20):
        text = r.choice(list(LAYOUTS.values()))
        for _ in range(r.randint(1, 4)):
            at, sign = r.randrange(len(text)), r.choice("[]{}:,#&*!|>'\"%@`-? \n\t\\0\x85\u2028\ufeff")
            piece = text[(start := r.randrange(len(text))) : start + 20]
            text = r.choice([text[:at] + text[at + 1 :], text[:at] + sign + text[at:], text[:at] + piece + text[at:]])
        with contextlib.suppress(ConfigError):
            after = parse_yaml(with_geometry(text, "gate", {"zones": [ZONE], "lines": []}), "")
            assert geometry(after, "gate") == [ZONE]
            assert without_zones(after) == without_zones(parse_yaml(text, ""))
