"""One reader of `seqinfo.ini`: kind to what tools write, strict about what would be read wrongly."""

import cv2
import numpy as np
import pytest

from tracker import DataError, open_source
from tracker.benchmark.dataset import find_dataset
from tracker.evaluation.frames import find_frames
from tracker.formats.seqinfo import SequenceInfo, read_sequence_info, sequence_info_text

TEXT = "[Sequence]\nname=S-01\nimDir=img1\nframeRate=25\nseqLength=4\nimWidth=160\nimHeight=120\nimExt=.jpg\n"
MEANT = SequenceInfo(4, (160, 120), 25.0, "S-01", "img1")


def written(folder, text):
    folder.mkdir(exist_ok=True)
    (folder / "seqinfo.ini").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("\n", "\r"),
        TEXT.upper().replace(".JPG", ".jpg").replace("IMG1", "img1"),
        TEXT.replace("=", " = "),
        TEXT.replace("=", ": "),
        TEXT.replace("25", "25.0").replace("=4", "=4.0"),
        TEXT + "seqLength=4\n",
        TEXT + "note=50%(x)s of 100%\n",
        "; made by hand\n\n" + TEXT + "# end\n[Other]\nseqLength=9\n",
        TEXT.encode("utf-16"),
    ],
)
def test_ways_to_write_the_same(tmp_path, text):
    assert read_sequence_info(written(tmp_path, text)) == MEANT


def test_what_is_written_is_read_again(tmp_path):
    for info in (MEANT, SequenceInfo(), SequenceInfo(7, (0, 0), 29.97, "50%-overlap", "frames")):
        assert read_sequence_info(written(tmp_path, sequence_info_text(info))) == info


def test_nothing_is_known_without_the_file(tmp_path):
    assert read_sequence_info(tmp_path) == SequenceInfo()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seqLength=70", r"line 1: expected the section \[Sequence\] first"),
        ("", r"expected the section \[Sequence\]"),
        ("[Sequence]\nseqLength\n", "line 2: expected key=value"),
        ("[Sequence]\nframeRate=-1\n", "line 2: expected a number of 0 or more as frameRate, got '-1'"),
        ("[Sequence]\nframeRate=nan\n", "line 2: expected a number .*'nan'"),
        ("[Sequence]\nframeRate=inf\n", "line 2: expected a number .*'inf'"),
        ("[Sequence]\nframeRate=1e-300\n", "line 2: 1e-300 frames a second cannot be"),
        ("[Sequence]\nframeRate=1_000\n", "line 2: expected a number .*'1_000'"),
        ("[Sequence]\nseqLength=\u0664\n", "line 2: expected a number"),
        ("[Sequence]\nseqLength=1.5\n", "line 2: expected a whole number of up to 10,000,000 as seqLength, got '1.5'"),
        ("[Sequence]\nimWidth=1e9\n", "line 2: expected a whole number"),
        ("[Sequence]\nseqLength=4\nseqlength=5\n", "line 3: seqLength is '5' here and '4' in line 2"),
        ("[Sequence]\nimDir=../other\n", "line 2: imDir is '../other', and must be a folder in the sequence's own"),
        ("[Sequence]\nimDir=/etc\n", "line 2: imDir"),
        ("[Sequence]\nimDir=C:\\\\x\n", "line 2: imDir"),
        ("[Sequence]\nimDir=a\0b\n", "line 2: imDir"),
        ("[Sequence]\nname=a\x1bb\n", "line 2: 'a.x1bb' is no name"),
    ],
)
def test_what_cannot_be_is_refused_by_file_and_line(tmp_path, text, message):
    with pytest.raises(DataError, match=rf"seqinfo\.ini(, |: ){message}"):
        read_sequence_info(written(tmp_path, text))


def test_every_reader_honours_the_folder_of_pictures(tmp_path):
    """`track`, `mot` and the pictures of `eval` find them in the same place, and see the same rate."""
    folder = written(tmp_path / "S", TEXT.replace("img1", "frames").replace("25", "12.5"))
    (folder / "frames").mkdir()
    (folder / "gt").mkdir()
    (folder / "gt/gt.txt").write_text("1,1,2,3,40,50,1,1,1\n")
    for i in range(1, 5):
        cv2.imwrite(str(folder / f"frames/{i:06d}.jpg"), np.zeros((120, 160, 3), np.uint8))
    source, (sequence,) = open_source(folder), find_dataset(folder)
    assert (source.length, source.frame_rate) == (sequence.length, sequence.rate) == (4, 12.5)
    assert sequence.images == folder / "frames"
    assert find_frames("S", folder / "gt/gt.txt") == folder
