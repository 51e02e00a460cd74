"""Every verb with paths that are missing, empty, of the wrong kind or not to be written: one sentence each."""

import os

import pytest

ROWS = "".join(f"{frame},1,{10 + frame},20,30,60,1,1,1\n" for frame in range(1, 4))

READS = {
    "track": "track {}",
    "explain": "explain {} --ended 1",
    "convert": "convert {} new.txt",
    "eval gt": "eval --gt {} --pred rows.txt",
    "eval pred": "eval --gt rows.txt --pred {}",
    "live": "live {} --check",
    "mot track": "mot track --data {} -d public --motion-only -t sort",
    "mot replay": "mot replay --data {} -d public --motion-only -t sort",
    "mot cache": "mot cache --data {} -d public --motion-only -t sort",
    "mot tune": "mot tune sort --space space.yaml --data {} -d public --motion-only",
    "mot tune space": "mot tune sort --space {} --data set -d public --motion-only",
    "mot submit": "mot submit {} -b own --data set --split train -o new.zip",
    "reid train": "reid train {} --out new",
    "reid eval query": "reid eval --query {} --gallery crops --format folders",
    "reid eval gallery": "reid eval --query crops --gallery {} --format folders",
    "reid compare": "reid compare default --query {} --gallery crops --format folders",
    "reid embed": "reid embed {} --out new.npz",
    "reid forget": "reid forget {}",
    "weights": "reid embed crops --out new.npz --weights {}",
    "recipe": "track none.mp4 --tracker {}",
    "settings": "track none.mp4 --config {}",
}
WRITES = {
    "convert": "convert rows.txt {}.json",
    "convert folder": "convert rows.txt {} --to motchallenge",
    "eval json": "eval --gt rows.txt --pred rows.txt --json {}",
    "eval csv": "eval --gt rows.txt --pred rows.txt --csv {}",
    "eval report": "eval --gt rows.txt --pred rows.txt --report {}.html",
    "mot track": "mot track --data set -d public --motion-only -t sort -j 1 --out {}",
    "mot report": "mot track --data set -d public --motion-only -t sort -j 1 --report {}.html",
    "mot cache": "mot cache --data set -d public --motion-only -t sort -j 1 --cache {}",
    "mot tune": "mot tune sort --space space.yaml --data set -d public --motion-only -j 1 --out {}",
    "mot submit": "mot submit results -b own --data set --split train --out {}.zip",
    "reid embed": "reid embed crops --out {}.npz",
    "reid export": "reid export --out {}.onnx",
    "reid eval": "reid eval --query crops --gallery crops --format folders --report {}.html",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A small file or folder of every kind that verbs ask for."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.txt").write_text(ROWS)
    (tmp_path / "results").mkdir()
    for name in ("one", "two"):
        (tmp_path / f"results/{name}.txt").write_text(ROWS.replace("1,1,1\n", "1,-1,-1,-1\n"))
        for part in ("gt", "det"):
            (tmp_path / "set/train" / name / part).mkdir(parents=True)
            (tmp_path / "set/train" / name / part / f"{part}.txt").write_text(ROWS)
    (tmp_path / "crops/1").mkdir(parents=True)
    (tmp_path / "crops/1/a.jpg").write_bytes(b"no picture")
    (tmp_path / "space.yaml").write_text("birth.score: [0.4, 0.8]\n")
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 4)
    os.symlink("loop", tmp_path / "loop")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_sentence(done, path):
    said = done.stdout + done.stderr
    assert done.code in (1, 2), said
    assert "Traceback" not in said
    assert "fault of reacquire" not in said
    assert path in said.replace("\n", "").replace(" ", ""), said
    return True


@pytest.mark.parametrize("path", ["none", "empty", "noise", "loop", "file/x", "x" * 300])
@pytest.mark.parametrize("verb", READS)
def test_what_cannot_be_read(reacquire, place, verb, path):
    if (verb, path) == ("live", "noise"):
        return  # may become a video; told when it runs
    before = sorted(os.listdir(place))
    done = reacquire(*(word.format(path) for word in READS[verb].split()))
    a_sentence(done, path[:40])
    assert sorted(name for name in os.listdir(place) if name != "runs") == before


@pytest.mark.parametrize("path", ["file/x", "none/" + "x" * 300, "loop/x"])
@pytest.mark.parametrize("verb", WRITES)
def test_what_cannot_be_written(reacquire, place, verb, path):
    before = sorted(os.listdir(place))
    done = reacquire(*(word.format(path) for word in WRITES[verb].split()))
    a_sentence(done, path[:4])
    assert set(os.listdir(place)) <= {*before, "none", "runs"}
