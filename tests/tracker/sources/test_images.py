import cv2
import numpy as np
import pytest

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


def test_first_image_unreadable_is_refused(tmp_path):
    (tmp_path / "1.jpg").write_bytes(b"no")
    with pytest.raises(SourceError, match=r"1\.jpg: not a readable image"):
        open_source(tmp_path)


def test_a_later_unreadable_image_ends_it_with_a_word(tmp_path):
    fill(tmp_path / "f", ["1.png", "2.png"])
    (tmp_path / "f" / "3.png").write_bytes(b"")
    with open_source(tmp_path / "f") as source:
        assert len(list(source)) == 2
    assert "3.png" in source.problem


def test_another_size_ends_it_with_a_word(tmp_path):
    fill(tmp_path / "f", ["1.png"])
    fill(tmp_path / "f", ["2.png"], size=(50, 30))
    with open_source(tmp_path / "f") as source:
        assert len(list(source)) == 1
    assert "50×30" in source.problem
    assert "40×30" in source.problem


def test_bad_seqinfo_names_the_file(tmp_path):
    fill(tmp_path / "s" / "img1", ["1.png"])
    (tmp_path / "s" / "seqinfo.ini").write_text("[Sequence]\nframeRate=fast\n")
    with pytest.raises(DataError, match=r"seqinfo\.ini, line 2: expected a number .*frameRate, got 'fast'"):
        open_source(tmp_path / "s")
