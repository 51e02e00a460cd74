"""The archive for a server: right, or an error that says what is wrong and nothing written."""

import json
import zipfile

import pytest

from tracker.benchmark.dataset import find_dataset
from tracker.benchmark.submit import TEST_SEQUENCES, submit
from tracker.errors import DataError

ROW = "{frame},1,10.00,10.00,20.00,40.00,0.9000,-1,-1,-1\n"


def results(folder, names, **about):
    folder.mkdir()
    for name in names:
        (folder / f"{name}.txt").write_text("".join(ROW.format(frame=f) for f in (1, 2)))
    if about:
        (folder / "run.json").write_text(json.dumps({"status": "done", **about}))
    return folder


def test_sequences_of_the_servers():
    assert {name: len(found) for name, found in TEST_SEQUENCES.items()} == {
        "mot15": 11,
        "mot16": 7,
        "mot17": 21,
        "mot20": 4,
    }


def test_an_archive_holds_the_files_and_is_the_same_again(tmp_path):
    run = results(tmp_path / "run", TEST_SEQUENCES["mot20"], detections="private")
    submit(run, tmp_path / "a.zip", benchmark="mot20")
    submit(run, tmp_path / "b.zip", benchmark="mot20")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [f"{n}.txt" for n in TEST_SEQUENCES["mot20"]]
        assert archive.read("MOT20-04.txt") == (run / "MOT20-04.txt").read_bytes()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("suffix", ["-FRCNN", ""])
def test_one_run_with_private_detections_stands_for_the_variants(tmp_path, suffix):
    names = [f"MOT17-{n:02d}{suffix}" for n in (1, 3, 6, 7, 8, 12, 14)]
    chosen = submit(results(tmp_path / "run", names, detections="private"), tmp_path / "out.zip", benchmark="mot17")
    assert sorted(chosen) == sorted(TEST_SEQUENCES["mot17"])
    assert chosen["MOT17-08-SDP"].stem == f"MOT17-08{suffix}"


def test_public_detections_need_every_variant(tmp_path):
    names = [n for n in TEST_SEQUENCES["mot17"] if n != "MOT17-08-SDP"]
    run = results(tmp_path / "run", names, detections="public")
    with pytest.raises(DataError, match=r"MOT17-08-SDP.txt is missing: with public detections"):
        submit(run, tmp_path / "out.zip", benchmark="mot17")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ROW.format(frame=0), "frames in a MOT file begin at 1"),
        (ROW.format(frame=1) * 2, "twice"),
        ("1,1,1,1,5,5,1\n", "7 columns, expected 10"),
        ("1 1 1 1 5 5 1 -1 -1 -1\n", "plain rows alone: commas between columns"),
        ("\ufeff" + ROW.format(frame=1), "no byte-order mark"),
        ("frame,id,x,y,w,h,conf,x,y,z\n" + ROW.format(frame=1), "no header"),
        ("", "empty"),
        (ROW.format(frame=1).replace(",1,10", ",-1,10"), "a negative id"),
        (ROW.format(frame=1).replace(",1,10", ",0,10"), "ids must be 1 or more"),
    ],
)
def test_files_that_the_server_would_refuse(tmp_path, content, message):
    run = results(tmp_path / "run", TEST_SEQUENCES["mot20"])
    (run / "MOT20-06.txt").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        submit(run, tmp_path / "out.zip", benchmark="mot20")
    assert "MOT20-06.txt" in str(caught.value)
    assert not list(tmp_path.glob("*.zip"))


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    run = results(tmp_path / "run", ["MOT20-04", "MOT20-06", "MOT20-99"], split="val-half")
    with pytest.raises(DataError) as caught:
        submit(run, tmp_path / "out.zip", benchmark="mot20")
    for part in ("MOT20-07.txt is missing", "MOT20-08.txt is missing", "not a sequence that is expected: MOT20-99"):
        assert part in str(caught.value)
    assert "half of each sequence" in str(caught.value)


def test_lengths_are_checked_against_the_data_set(small, tmp_path):
    run = results(tmp_path / "run", ["one", "two"])
    (run / "two.txt").write_text(ROW.format(frame=41))
    sequences = find_dataset(small)
    with pytest.raises(DataError, match=r"two.txt, line 1: the sequence has only 40"):
        submit(run, tmp_path / "out.zip", benchmark="dancetrack", sequences=sequences)
    (run / "two.txt").write_text(ROW.format(frame=40))
    assert sorted(submit(run, tmp_path / "out.zip", benchmark="dancetrack", sequences=sequences)) == ["one", "two"]
    with pytest.raises(DataError, match="exists; it is not overwritten"):
        submit(run, tmp_path / "out.zip", benchmark="dancetrack", sequences=sequences)


def test_unknown_test_sequences_are_asked_for(tmp_path):
    run = results(tmp_path / "run", ["dancetrack0003"])
    with pytest.raises(DataError, match="--data DIR --split test"):
        submit(run, tmp_path / "out.zip", benchmark="dancetrack")
