import cv2
import numpy as np
import pytest

from tests.tracker.sources.media import TURNS, exif, jpeg_of, stored
from tracker import DataError, SourceError, open_source


def fill(folder, names, size=(40, 30)):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        ok, data = cv2.imencode(".png", np.full((size[1], size[0], 3), 10 * i, np.uint8))
        assert ok
        (folder / name).write_bytes(data.tobytes())
    return folder


def test_natural_order_and_nominal_time(tmp_path):
    fill(tmp_path / "f", ["10.png", "2.png", "1.png"])
    with open_source(tmp_path / "f") as source:
        frames = list(source)
    assert [int(f.image[0, 0, 0]) for f in frames] == [20, 10, 0]
    assert source.length == 3
    assert source.frame_rate is None
    assert [f.timestamp for f in frames] == pytest.approx([0, 1 / 30, 2 / 30])
    assert source.kind == "images"


def test_names_beyond_ascii(tmp_path):
    fill(tmp_path / "straße", ["größe 1.png"])
    with open_source(tmp_path / "straße") as source:
        assert len(list(source)) == 1


def test_mot_sequence(tmp_path):
    fill(tmp_path / "MOT17-99" / "img1", ["000003.png", "000004.png"])
    (tmp_path / "MOT17-99" / "seqinfo.ini").write_text("[Sequence]\nname=MOT17-99-SDP\nframeRate=14\nimDir=img1\n")
    with open_source(tmp_path / "MOT17-99") as source:
        frames = list(source)
    assert source.kind == "mot"
    assert source.name == "MOT17-99-SDP"
    assert source.frame_rate == 14
    assert [f.index for f in frames] == [2, 3]
    assert [f.timestamp for f in frames] == pytest.approx([2 / 14, 3 / 14])


@pytest.mark.parametrize("second", ["000003.jpg", "3.png"])
def test_two_images_of_one_number_are_told(tmp_path, second):
    fill(tmp_path / "s" / "img1", ["000003.png", second, "000004.png"])
    with pytest.raises(SourceError, match="same number") as told:
        open_source(tmp_path / "s")
    assert second in str(told.value)
    assert "000003.png" in str(told.value)


def test_mot_sequence_without_seqinfo(campus):
    with open_source(campus, max_frames=3) as source:
        frames = list(source)
    assert source.kind == "mot"
    assert source.name == "TUD-Campus"
    assert source.frame_rate is None
    assert [f.index for f in frames] == [0, 1, 2]


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="no images in it"):
        open_source(tmp_path)


def test_what_systems_leave_beside_pictures_is_passed_over(tmp_path):
    fill(tmp_path / "f", ["1.png", "2.PNG", "3.png"])
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._1.png", ".hidden.jpg", "notes.txt"):
        (tmp_path / "f" / name).write_bytes(b"\0\5\x16\7")
    (tmp_path / "f" / "4.jpg").mkdir()
    with open_source(tmp_path / "f") as source:
        assert len(list(source)) == source.length == 3
    assert source.problem is None


def test_digits_of_other_scripts_and_superscripts_are_names(tmp_path):
    fill(tmp_path / "f" / "img1", ["²2.png", "²10.png", "٣.png"])
    with open_source(tmp_path / "f") as source:
        assert len(list(source)) == 3


@pytest.mark.parametrize("orientation", TURNS)
def test_photographs_are_shown_upright(tmp_path, orientation):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:16, :20] = 255
    (tmp_path / "1.jpg").write_bytes(exif(jpeg_of(stored(upright, orientation)), orientation))
    for place in (tmp_path, tmp_path / "1.jpg"):
        with open_source(place) as source:
            (frame,) = source
            assert source.size == (64, 48)
        assert np.abs(frame.image.astype(int) - upright).mean() < 6


def test_bad_seqinfo_names_the_file(tmp_path):
    fill(tmp_path / "s" / "img1", ["1.png"])
    (tmp_path / "s" / "seqinfo.ini").write_text("[Sequence]\nframeRate=fast\n")
    with pytest.raises(DataError, match=r"seqinfo\.ini, line 2: expected a number .*frameRate, got 'fast'"):
        open_source(tmp_path / "s")
