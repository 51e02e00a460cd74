"""Data, clips and small helpers that many tests share."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("project", deadline=None)  # the first example may wait for a compiler
settings.load_profile("project")

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("REACQUIRE_DATA", ROOT / "../shared/data"))


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def clip():
    return ROOT / "videos" / "plaza.mp4"


@pytest.fixture(scope="session")
def data():
    """The optional data folder."""
    if not DATA.is_dir():
        pytest.skip(f"no data folder at {DATA}; set REACQUIRE_DATA to one")
    return DATA


@pytest.fixture(scope="session")
def campus(data):
    """The TUD-Campus sequence with its frames."""
    return data / "mot15" / "TUD-Campus"


def write_video(path, *, times=None, frames=12, size=(64, 48), codec="libx264", audio=False, rotation=None, gop=12):
    """A small video; frame i is grey of value 8 * i, at `times[i]` seconds (or 25 a second)."""
    times = [i / 25 for i in range(frames)] if times is None else times
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"g": str(gop), "crf": "10"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for i, seconds in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 8 * i % 256, np.uint8), format="bgr24")
            frame.pts, frame.time_base = round(seconds * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture
def make_video(tmp_path):
    def make(name="clip.mp4", **options):
        return write_video(tmp_path / name, **options)

    return make


@contextmanager
def _files_no_larger_than(size):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.fixture
def files_no_larger_than():
    """While the block lasts the system refuses what would make a file larger: a disk that is full at any byte."""
    pytest.importorskip("resource", reason="this system has no limits on files")
    return _files_no_larger_than


@pytest.fixture
def small_disk(tmp_path):
    """Makes a folder that is a disk of its own, of so many KB."""
    mounted = []

    def make(kilobytes):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        mount = shutil.which("mount")
        options = ["-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if mount is None or subprocess.run([mount, *options], capture_output=True).returncode:
            pytest.skip("needs the right to mount a disk in memory")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def reacquire(monkeypatch, capsys):
    """The command line, in this process: exit code, and what it wrote."""
    from tracker.cli import main

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["reacquire", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        for stream in (sys.stdout, sys.stderr):  # pytest reads them back as UTF-8, whatever is in a file's name
            stream.reconfigure(errors="backslashreplace")
        code = 0
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code or 0
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, stdout=out, stderr=err)

    return run
