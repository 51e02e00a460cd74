"""Whole files: who may read them, who else may write them, and what stays where writing fails."""

import errno
import stat
import subprocess
import sys
import threading

import pytest

from reid.errors import ReacquireError, WriteError
from reid.files import Growing, as_json, partial_name, replacing, write_text


def test_what_was_there_before_stays(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(WriteError, match="the disk is full"), replacing(path) as partial:
        partial.write_text("new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert path.read_text() == "old"


def test_of_a_piece_that_cannot_be_written_nothing_stays(tmp_path, files_no_larger_than):
    file = Growing(tmp_path / "x")
    with files_no_larger_than(10):
        file.append(b"12345\n")
        with pytest.raises(ReacquireError):
            file.append(b"67890\n")
        file.append(b"6\n")
    file.close()
    assert (tmp_path / "x").read_bytes() == b"12345\n6\n"


def test_an_error_of_the_block_is_no_error_of_the_disk(tmp_path):
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "x") as partial:
        partial.write_bytes(b"half")
        _ = 1 / 0
    assert not list(tmp_path.iterdir())


def test_a_secret_is_nobody_elses_from_its_first_byte(tmp_path):
    path, other = tmp_path / "x.npz", tmp_path / "other"
    other.write_text("precious")
    partial_name(path).symlink_to(other)
    with replacing(path, mode=0o600) as partial:
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        partial.write_bytes(b"secret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert other.read_text() == "precious"


def test_several_threads_write_the_same_file(tmp_path):
    """Each has a name of its own meanwhile, and what stays is whole."""
    path, barrier = tmp_path / "x.bin", threading.Barrier(4)

    def write(letter):
        with replacing(path, contended=True) as partial:
            barrier.wait()
            partial.write_bytes(letter * 100_000)
            barrier.wait()

    threads = [threading.Thread(target=write, args=(letter,)) for letter in (b"a", b"b", b"c", b"d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    content = path.read_bytes()
    assert len(content) == 100_000
    assert len(set(content)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(WriteError, match=r"nowhere/x\.txt: cannot be written: No such file or directory"):
        write_text(tmp_path / "nowhere" / "x.txt", "x")


def test_json_escapes_what_the_encoding_lacks():
    assert as_json({"name": "é"}) == '{\n  "name": "é"\n}'
    assert as_json({"name": "é"}, "ascii") == '{\n  "name": "\\u00e9"\n}'
    assert as_json({"name": "\udcff"}) == '{\n  "name": "\\udcff"\n}'


@pytest.mark.parametrize("module", ["errors", "files"])
def test_they_are_light(module):
    code = f"import sys, reid.{module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "cv2", "onnxruntime", "safetensors"} & set(loaded)
