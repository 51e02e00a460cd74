"""The whole command line with existing options and odd values: an exit code of 0, 1 or 2, and sentences.

Every call fails before any network is loaded: what would do the verb's work is replaced by an error that passes for
success here. Options, their number and their order are drawn from typer's own definitions.
"""

import os
import random

import pytest
import typer.main

from tracker.cli.app import app

CALLS = int(os.environ.get("FUZZ_CALLS", "30"))
"""Of each verb."""
SEED = os.environ.get("FUZZ_SEED", "1")


class WorkError(BaseException):
    """The arguments were found right, and the work would begin."""


def verbs(command=None, path=()):
    """Every verb's words and its command."""
    command = command or typer.main.get_command(app)
    inner = getattr(command, "commands", None)
    if inner is None:
        return [(path, command)]
    return [found for name, sub in inner.items() for found in verbs(sub, (*path, name))]


VERBS = {" ".join(path): command for path, command in verbs()}

TEXTS = [
    "", " ", ",", ",,", "-", "--", "-1", "0", "1", "2", "007", "1e999", "nan", "inf", "9" * 400, "0x10", "1_000", "½",
    "none", "None", "default", "all", "auto", "cpu", "cuda:0", "cuda:99999", "cuda:x", "mps", "public", "public:",
    "public:x.txt", "../..", "/", "/dev/null", "~", "~nobody", "$HOME", "${HOME}", "%s", "{0}", "{}", "[]", "[bold]x",
    "[/]", "a=b", "=", "a=", "=a", "a.b.c=[", "detector.score=.nan", "detector.score=*x", "detector.classes=[]",
    "tracker.stages.0.gate=9", "tracker.stages.x=1", "detector=1", "tracker=sort", "device=7", "x" * 300, "x" * 5000,
    "a\nb", "a\tb", "\x1b[31mred", "\x01", os.fsdecode(b"\xff\xfe"), "дом", "家", "é", "\u202e", "💥", "file", "folder",
    "file.txt", "folder/", "file/x", "none.yaml", "file.yaml", "bad.yaml", "bomb.yaml", "file.pt", "file.onnx",
    "file.npz", "file.parquet", "file.zip", "file.html", "file.mp4", "file.safetensors", "sort", "bytetrak", "mot",
    "coco", "kitti", "mot17", "none,none", "person", "person,", "HOTA=0", "HOTA,IDF1=nan", "flow", "20,6,0.3", "1x1",
    "256x128", "99999x99999", "0x0", "rtsp://u:s3cret@h:1/x", "http://[::1", "://", "file:///etc/passwd", "a:b@c",
]  # fmt: skip


SANE = {
    **{key: ["1", "2", "30"] for key in ("max_frames", "jobs", "trials", "ended", "began", "seed", "single_shot")},
    **{key: ["2", "100", "100"] for key in ("rate", "port", "seconds", "minutes", "bootstrap", "folds")},
    "backend": ["auto", "torch", "onnx"],
    "inputs": ["boxes", "crops"],
    "size": ["256x128", "1920x1080"],
    "data": ["set", "set/train/one", "rows.txt", "crops"],
    "gt": ["set/train", "rows.txt"],
    "pred": ["set/train", "rows.txt"],
    "space": ["space.yaml", "bad.yaml", "bomb.yaml", "file.yaml"],
    "split": ["train", "train", "val-half", "test"],
    "tracker": ["sort", "bytetrack", "botsort", "reacquire"],
    "detector": ["public", "person", "public:rows.txt"],
    "config": ["default", "file.yaml", "bomb.yaml"],
    "override": ["tracker.birth.score=0.9", "detector.classes=[person]", "tracker.stages.0.gate=0.1"],
    "objective": ["HOTA", "mix", "HOTA=2,IDF1=1"],
    "benchmark": ["mot17", "none", "kitti", "mot15"],
    "cameras": ["0", "file.mp4", "bomb.yaml", "cameras.yaml"],
    "query": ["crops"],
    "gallery": ["crops"],
    "data_format": ["market1501", "folders", "mot"],
    "out": ["new", "new.npz", "new.onnx", "new.zip", "new.html", "file/x", "folder"],
    "read_as": ["mot", "coco", "kitti"],
    "write_as": ["mot", "coco", "kitti"],
}
"""By the parameter's name."""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of odd files, and nothing that is done in it."""
    (tmp_path / "folder").mkdir()
    for ending in ("", ".txt", ".yaml", ".pt", ".onnx", ".npz", ".parquet", ".zip", ".html", ".mp4", ".safetensors"):
        (tmp_path / f"file{ending}").write_bytes(b"")
    (tmp_path / "bad.yaml").write_bytes(b"detector: {score: [1, 2\n\xff")
    levels = "".join(f"l{i}: &l{i} [{','.join([f'*l{i - 1}' if i else 'x'] * 10)}]\n" for i in range(12))
    (tmp_path / "bomb.yaml").write_text(levels)
    (tmp_path / "space.yaml").write_text("birth.score: [0.4, 0.8]\n")
    (tmp_path / "cameras.yaml").write_text("cameras: [{name: a, source: 'rtsp://u:${HOME}@h'}]\n")
    rows = "".join(f"{frame},1,{10 + frame},20,30,60,1,1,1\n" for frame in range(1, 4))
    for name in ("one", "two"):
        for part in ("gt", "det"):
            (tmp_path / "set/train" / name / part).mkdir(parents=True)
            (tmp_path / "set/train" / name / part / f"{part}.txt").write_text(rows)
    (tmp_path / "rows.txt").write_text(rows)
    (tmp_path / "crops/1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def work(*_, **__):
        raise WorkError

    for name in (
        "tracker.run.track.run",
        "tracker.doctor.examine",
        "tracker.live.service.LiveService.__init__",
        "tracker.benchmark.runner.track_all",
        "tracker.benchmark.runner.cache_all",
        "tracker.benchmark.tune.tune",
        "tracker.cli.reid_judge.embedder_of",
        "tracker.cli.reid_ship.embedder_of",
        "reid.crop_network.write_onnx",
        "reid.train.Trainer.__init__",
    ):
        monkeypatch.setattr(name, work)
    return tmp_path


def value_for(parameter, random):
    """Mostly of the kind that is asked for, so that not every call ends at the first check."""
    if random.random() < 0.8 and parameter.name in SANE:
        return random.choice(SANE[parameter.name])
    return random.choice(SANE["data"] + TEXTS)


def drawn(command, random):
    """Arguments for a verb: mostly what it needs, some options, and odd values everywhere."""
    words = []
    for parameter in command.params:
        needed = parameter.required or parameter.param_type_name == "argument"
        for _ in range(random.choice((0, *[1] * 14, 2)) if needed else random.choice((0, 0, 0, 0, 0, 1, 1, 2))):
            value = [] if getattr(parameter, "is_flag", False) else [value_for(parameter, random)]
            names = [] if parameter.param_type_name == "argument" else [random.choice(parameter.opts)]
            words.append([*names, *value])
    random.shuffle(words)
    return [word for part in words for word in part]


@pytest.mark.parametrize("verb", VERBS)
def test_odd_arguments_end_in_a_sentence(reacquire, place, verb):
    seed = random.Random(f"{verb} {SEED}")
    ends = {}
    for _ in range(CALLS):
        arguments = drawn(VERBS[verb], seed)
        if verb == "live" and "--hash-password" in arguments:
            continue  # asks for one
        try:
            done = reacquire(*verb.split(), *arguments)
        except WorkError:
            ends["work"] = ends.get("work", 0) + 1
            continue
        ends[done.code] = ends.get(done.code, 0) + 1
        said = f"{verb} {arguments}: {done.stdout}{done.stderr}"
        assert done.code in (0, 1, 2), said
        assert "Traceback" not in said, said
        assert "s3cret" not in done.stdout + done.stderr, said
        if done.code == 1:
            assert done.stderr.count("error:") == 1 or "failed" in done.stderr, said
        if done.code == 2:
            assert "Usage" in done.stderr, said
    assert len(ends) > 1 or verb == "doctor", ends
    assert sorted(path.name for path in place.iterdir() if path.name.startswith(("bad", "bomb"))) == [
        "bad.yaml", "bomb.yaml",
    ]  # fmt: skip
