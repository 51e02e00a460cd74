"""Streams that are closed, full, or of an encoding that cannot say everything; names that are not Unicode."""

import json
import os
import subprocess
import sys

import pytest

from tracker.extras import needed

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of POSIX streams and names of files")

ROWS = "".join(f"{frame},1,{10 + frame},20,30,60,1,1,1\n" for frame in range(1, 6))
ODD = os.fsdecode(b"caf\xe9\xff")


def reacquire(*arguments, shell="", cwd=None, **environment):
    """The command line, in a process of its own; `shell` says what is done with its streams."""
    command = ["bash", "-c", f'"$@" {shell}', "bash", sys.executable, "-m", "tracker.cli", *map(str, arguments)]
    environment = os.environ | {"COLUMNS": "200"} | environment
    return subprocess.run(command, capture_output=True, cwd=cwd, env=environment, timeout=150)


@pytest.fixture
def rows(tmp_path):
    """Tracks in a file whose name is not Unicode."""
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / "a.txt").write_text(ROWS, encoding="utf-8")
    return folder / "a.txt"


def test_a_full_stdout_is_an_error_and_the_work_is_done(rows):
    out = rows.with_name("b.txt")
    done = reacquire("convert", rows, out, shell=">/dev/full")
    assert done.returncode == 1
    assert done.stderr == b"error: stdout: cannot be written: No space left on device\n"
    assert out.is_file()


def test_a_reader_that_leaves_ends_it_quietly(rows):
    done = reacquire("convert", rows, rows.with_name("b.txt"), shell='| true; exit "${PIPESTATUS[0]}"')
    assert done.returncode in (0, 141)  # 0 where it was faster than the reader
    assert done.stderr == b""
    done = reacquire("--help", shell='| sleep 0; exit "${PIPESTATUS[0]}"')
    assert done.returncode in (0, 141)
    assert done.stderr == b""


@pytest.mark.parametrize("shell", [">&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_streams_that_nobody_reads_stop_nothing(rows, shell):
    out = rows.with_name("b.txt")
    done = reacquire("convert", rows, out, shell=shell)
    assert done.returncode == 0
    assert out.read_text(encoding="utf-8") == rows.read_text(encoding="utf-8")
    assert b"Traceback" not in done.stderr + done.stdout


@pytest.mark.parametrize("shell", ["2>&-", "2>/dev/full"])
def test_an_error_that_nobody_can_read_is_still_an_exit_code(tmp_path, shell):
    assert reacquire("convert", tmp_path / "none.txt", tmp_path / "b.txt", shell=shell).returncode == 1
    assert reacquire("convert", shell=shell).returncode == 2


ASCII = [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}]


@pytest.mark.parametrize("environment", [*ASCII, {"PYTHONIOENCODING": "latin-1"}])
def test_names_come_out_as_they_went_in(rows, environment):
    done = reacquire("convert", rows, rows.with_name("b.txt"), **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(os.fsencode(rows.with_name("b.txt")) + b": 1 sequence")
    done = reacquire("convert", rows.with_name("none"), rows.with_name("c.txt"), **environment)
    assert done.returncode == 1
    assert os.fsencode(rows.with_name("none")) in done.stderr


@pytest.mark.parametrize("environment", ASCII)
def test_help_in_plain_characters(environment):
    done = reacquire("--help", **environment)
    assert done.returncode == 0
    done.stdout.decode("ascii")
    assert b"through occlusion" in done.stdout


@pytest.mark.parametrize("environment", [*ASCII, {}])
def test_json_is_json_in_every_encoding(rows, environment):
    """What an encoding lacks is an escape of JSON, not of Python."""
    odd = f"é {ODD}"
    code = f"from tracker.cli.console import print_json; print_json({{'a': {odd!a}}})"
    code = f"from tracker.cli.streams import prepare_streams; prepare_streams(); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ | environment, check=True)
    assert json.loads(done.stdout)["a"] == odd


def test_a_folder_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["bash", "-c", 'cd "$1"; rmdir "$1"; shift; "$@"', "bash", gone, sys.executable, "-m", "tracker.cli", "doctor"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, map(os.path.abspath, sys.path)))},
    )
    assert done.returncode == 1
    assert done.stderr == "error: the folder that you are in is gone, or may not be entered: cd to another one\n"


def test_a_fault_is_shown_without_secrets(reacquire, monkeypatch):
    import tracker.doctor

    def examine():
        raise KeyError("rtsp://user:s3cret@host/stream")

    monkeypatch.setattr(tracker.doctor, "examine", examine)
    done = reacquire("doctor")
    assert done.code == 1
    assert "Traceback" in done.stderr
    assert "please report it" in done.stderr
    assert "host/stream" in done.stderr
    assert "s3cret" not in done.stderr


def test_a_thread_that_fails_shows_no_secrets(reacquire, monkeypatch):
    import threading

    import tracker.doctor

    def examine():
        def fail():
            raise ValueError("http://user:s3cret@host/")

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        return []

    hook = threading.excepthook
    monkeypatch.setattr(tracker.doctor, "examine", examine)
    monkeypatch.setattr(threading, "excepthook", hook)  # put back afterwards
    done = reacquire("doctor")
    assert "***@host/" in done.stderr
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(13, "Permission denied", "x.bin"), "error: x.bin: Permission denied\n"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (MemoryError(), "error: there is not enough memory for this\n"),
    ],
)
def test_what_the_machine_refuses_is_a_sentence(reacquire, monkeypatch, error, words):
    import tracker.doctor

    def examine():
        raise error

    monkeypatch.setattr(tracker.doctor, "examine", examine)
    done = reacquire("doctor")
    assert done.code == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["json", "parquet", "kitti"])
def test_every_format_takes_folders_of_any_name(reacquire, rows, kind):
    done = reacquire("convert", rows, rows.with_name(f"b.{kind}"), "--to", {"json": "coco"}.get(kind, kind))
    assert done.code == 0, done.stderr
    back = reacquire("convert", rows.with_name(f"b.{kind}"), rows.with_name("c.txt"))
    assert back.code == 0, back.stderr
    assert "5 boxes, 1 id" in back.stdout


def test_mot_verbs_take_folders_of_any_name(reacquire, campus, rows):
    options = ["--detector", "public", "--motion-only", "--tracker", "bytetrack", "--cache", rows.with_name("cache")]
    folder = rows.parent / "seqs"
    folder.mkdir()
    for name in ("TUD-Campus", f"{ODD}-2"):
        (folder / name).symlink_to(campus.resolve())
    done = reacquire("mot", "track", "--data", folder, *options, "--out", rows.with_name("run"), "--jobs", 1)
    assert done.code == 0, done.stderr
    assert (rows.parent / "run" / f"{ODD}-2.txt").stat().st_size == (rows.parent / "run/TUD-Campus.txt").stat().st_size
    assert json.loads((rows.parent / "run/run.json").read_text())["status"] == "done"


@pytest.mark.parametrize("name", ["a[/red]b", "[bold]x", "[/]", "[link=x]", "a[", "\\\\[/]"])
def test_brackets_in_names_are_brackets(reacquire, campus, tmp_path, name):
    """They were taken for styles, and a path as `a[/red]b` ended in a traceback."""
    place = tmp_path / name
    place.mkdir(parents=True)
    (place / "x.txt").write_text(ROWS)
    done = reacquire("convert", place / "x.txt", place / "out.txt")
    assert f"{name}/out.txt: 1 sequence" in done.stdout
    done = reacquire("convert", place / "none", place / "other.txt")
    assert f"error: {place}/none: no such file" in done.stderr
    (place / "seq").symlink_to(campus.resolve())
    public = f"public:{campus / 'det/det.txt'}"
    done = reacquire("track", place / "seq", "-d", public, "-t", "sort", "--max-frames", 2, "--out", place / "run")
    assert done.code == 0, done.stderr
    assert f"{name}/run/tracks.mp4" in done.stdout


def test_tracking_into_a_folder_of_any_name(reacquire, campus, rows):
    options = ["--detector", f"public:{campus / 'det/det.txt'}", "--tracker", "bytetrack", "--max-frames", 4]
    saved = ["--save", "mot,jsonl,parquet,video", "--refine", "gap", "--explain"]
    done = reacquire("track", campus, *options, *saved, "--out", rows.with_name("run"), "--json")
    assert done.code == 0, done.stderr
    assert len(json.loads(done.stdout)["files"]) == 9
    assert all(os.path.isfile(file) for file in json.loads(done.stdout)["files"])
    assert reacquire("explain", rows.with_name("run"), "--began", 1).code == 0


def test_reid_verbs_take_names_that_are_not_unicode(reacquire, root, rows):
    from PIL import Image

    for number in range(2):
        Image.new("RGB", (32, 64), (90 * number, 50, 60)).save(rows.with_name(f"{ODD}{number}.jpg"))
    done = reacquire("reid", "embed", rows.parent, "--out", rows.with_name("v.npz"))
    assert done.code == 0, done.stderr
    done = reacquire("reid", "embed", rows.parent, "--out", rows.with_name("v.parquet"))
    assert done.code == 1
    assert "is not Unicode, which Parquet cannot hold; write an .npz" in done.stderr
    assert reacquire("reid", "export", "--out", rows.with_name("e.onnx")).code == 0
    again = reacquire("reid", "embed", rows.parent, "-w", rows.with_name("e.onnx"), "--out", rows.with_name("w.npz"))
    assert again.code == 0, again.stderr
    done = reacquire("reid", "forget", rows.with_name("v.npz"), "--match", f"{ODD}1*")
    assert "1 vectors deleted, 1 left" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["live", "0", "--check"], "uvicorn", "live"),
        (["live", "cameras.yaml", "--check", "--no-page"], "paho", "live"),
        (["mot", "tune", "bytetrack", "--space", "space.yaml", "--data", "DATA"], "optuna", "tune"),
    ],
)
def test_a_package_that_is_not_installed(reacquire, monkeypatch, tmp_path, root, request, arguments, package, extra):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cameras.yaml").write_text("cameras: [{name: a, source: rtsp://h}]\nmqtt: {host: h}\n")
    (tmp_path / "space.yaml").write_text("birth.score: [0.4, 0.8]\n")
    arguments = [request.getfixturevalue("data") / "mot15" if a == "DATA" else a for a in arguments]
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "tracker.live.web.server", raising=False)
    done = reacquire(*arguments)
    assert done.code == 1
    assert f"needs {package}: pip install 'reacquire[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_needed_is_named():
    from tracker.errors import ReacquireError

    with (
        pytest.raises(ReacquireError, match=r"^the page needs uvicorn: pip install 'reacquire\[live\]'$"),
        needed("the page", "live"),
    ):
        raise ModuleNotFoundError("No module named 'uvicorn.config'", name="uvicorn.config")


def test_wrong_usage_shows_no_password(reacquire):
    done = reacquire("live", "cameras.yaml", "rtsp://user:s3cret@host/x")
    assert done.code == 2
    assert "***@host/x" in done.stderr
    assert "s3cret" not in done.stderr


@pytest.fixture
def homeless(monkeypatch, tmp_path):
    """A user that the system does not know, as in a container that runs under any number."""
    import pwd

    def unknown(*_):
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    for name in ("HOME", "XDG_CACHE_HOME", "REACQUIRE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_user_without_a_home_has_no_cache(homeless, monkeypatch):
    from reid.runtime import cache_folder

    assert cache_folder() is None
    monkeypatch.setenv("REACQUIRE_CACHE", str(homeless / "cache"))
    assert cache_folder() == homeless / "cache"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("cameras: [{name: a, source: rtsp://h}]\nfolder: ~/x\n", "c.yaml: folder: ~ stands for a home folder, and"),
        ("cameras: [{name: a, source: ~/x.mp4}]\n", "c.yaml: cameras.0.source: ~/x.mp4: ~ stands for a home folder"),
        ("cameras: [{name: a, source: ~nobody/x.mp4}]\n", "cameras.0.source: ~nobody/x.mp4: ~ stands for a home"),
    ],
)
def test_a_home_that_is_not_there_is_said(homeless, reacquire, text, problem):
    (homeless / "c.yaml").write_text(text)
    done = reacquire("live", "c.yaml", "--check", "--no-page")
    assert done.code == 1
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
