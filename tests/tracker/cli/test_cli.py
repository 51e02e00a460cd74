"""The command line as a user meets it: exit codes, streams, messages."""

import json
import subprocess
import sys

import pytest


def reacquire(*arguments, cwd=None):
    command = [sys.executable, "-c", "from tracker.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=150)


def test_help_shows_the_verbs_and_examples():
    done = reacquire("--help")
    assert done.returncode == 0
    for verb in ("demo", "track", "doctor"):
        assert verb in done.stdout
    assert "reacquire track street.mp4" in reacquire("track", "--help").stdout


def test_version():
    assert reacquire("--version").stdout.startswith("reacquire 0.")


@pytest.mark.parametrize("arguments", [["track"], ["fly"], ["track", "x.mp4", "--max-frames", "many"]])
def test_wrong_usage_exits_2(arguments):
    assert reacquire(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4"], "none.mp4: no such file"),
        (["none.mp4", "--tracker", "bytetrak"], "did you mean 'bytetrack'?"),
        (["none.mp4", "--set", "detector.scroe=1"], "unknown key; did you mean 'score'?"),
        (["none.mp4", "--save", "gif"], "unknown format; there are: mot, parquet, csv, jsonl, video"),
    ],
)
def test_a_mistake_is_one_message_on_stderr(tmp_path, arguments, message):
    done = reacquire("track", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_demo_json_is_all_there_is_on_stdout(tmp_path):
    done = reacquire("demo", "--out", tmp_path / "demo", "--max-frames", 25, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["frames"] == 25
    assert summary["identities"] >= 3
    assert (tmp_path / "demo/tracks.mp4").exists()


def test_track_prints_a_summary_people_can_read(clip, tmp_path):
    done = reacquire("track", clip, "--max-frames", 12, "--save", "mot", "--tracker", "bytetrack", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "12 in" in done.stdout
    assert "runs/track/plaza/tracks.txt" in done.stdout
    assert (tmp_path / "runs/track/plaza/run.json").exists()


def test_a_run_that_is_explained_can_be_asked(clip, tmp_path):
    out = tmp_path / "run"
    options = ["--tracker", "bytetrack", "--max-frames", "60", "--save", "mot", "--explain", "--out", out]
    assert reacquire("track", clip, *options).returncode == 0
    said = reacquire("explain", out, "--ended", "1", "--began", "1")
    assert said.returncode == 0, said.stderr
    assert "Track 1 was last matched in frame" in said.stdout
    assert "Track 1 began in frame" in said.stdout
    assert reacquire("explain", out).returncode == 2
    assert "no track 999 in the record" in reacquire("explain", out, "--ended", "999").stderr


def test_a_recipe_that_only_looks_needs_an_embedder(clip, tmp_path):
    done = reacquire("track", clip, "--reid", "none", "--tracker", "deepsort", cwd=tmp_path)
    assert done.returncode == 1
    assert "needs an embedder" in done.stderr
    assert "--tracker bytetrack" in done.stderr


def test_show_without_a_display_says_so(clip, tmp_path, monkeypatch):
    if not sys.platform.startswith("linux"):
        pytest.skip("other systems always have a display")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = reacquire("track", clip, "--show", cwd=tmp_path)
    assert done.returncode == 1
    assert "no display" in done.stderr


def test_doctor_finds_this_machine_in_order():
    done = reacquire("doctor", "--json")
    findings = {f["subject"]: f for f in json.loads(done.stdout)["findings"]}
    assert done.returncode == 0, findings
    assert findings["bundled detector"]["verdict"] == "good"
    assert findings["bundled embedder"]["verdict"] == "good"
    assert findings["reid package"]["words"] == "ours"


def test_a_foreign_reid_is_told_with_what_to_do(tmp_path):
    (tmp_path / "reid").mkdir()
    (tmp_path / "reid/__init__.py").write_text("")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import tracker"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip uninstall reid" in done.stderr.splitlines()[-1]


def test_doctor_notices_a_foreign_reid_that_looks_like_ours(tmp_path, monkeypatch):
    import importlib.util

    from tracker import doctor

    spec = importlib.util.spec_from_file_location("reid", tmp_path / "reid/__init__.py")
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: spec)
    finding = doctor._shadow()
    assert finding.verdict == "bad"
    assert "pip uninstall reid" in finding.words


@pytest.mark.parametrize("option", ["--classes", "--save"])
@pytest.mark.parametrize("names", ["", " ", ",", " , "])
def test_no_name_at_all_is_a_mistake(reacquire, clip, monkeypatch, tmp_path, option, names):
    """A shell's variable that is not set; it found nothing, without a word."""
    monkeypatch.chdir(tmp_path)
    done = reacquire("track", clip, option, names)
    assert done.code == 2
    assert "expected names with commas between them, got none" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("detector", "classes", "problem"),
    [
        ("person", "persn", "class 'persn' is not one of person.safetensors's 1: did you mean person?"),
        ("person", "person, car", "class 'car' is not one of person.safetensors's 1: it knows: person"),
        ("public:det.txt", "car", "class 'car' is not one of public:det.txt's 1: it knows: person"),
    ],
)
def test_a_class_that_the_detector_does_not_know(reacquire, clip, monkeypatch, tmp_path, detector, classes, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "det.txt").write_text("1,-1,10,20,30,60,0.9,-1,-1,-1\n")
    done = reacquire("track", clip, "--detector", detector, "--classes", classes, "--tracker", "sort")
    assert done.code == 1
    assert problem in done.stderr


def test_spaces_around_names_are_no_part_of_them():
    from tracker.cli.track import pipeline_settings

    settings = pipeline_settings("default", [], classes=" person , two words ,")
    assert settings.detector.classes == ("person", "two words")


@pytest.mark.parametrize("key", ["detector.classes=[]", "detector.classes="])
def test_an_empty_list_of_classes_in_settings(key):
    from tracker.config import load_pipeline_settings
    from tracker.errors import ConfigError

    if key.endswith("="):
        assert load_pipeline_settings("default", [key]).detector.classes is None
        return
    with pytest.raises(ConfigError, match=r"--set detector\.classes: .*at least 1"):
        load_pipeline_settings("default", [key])
