"""Trainings side by side on made crops: weights, figures, and an end in time."""

import json
import subprocess
import sys

import yaml

from reid import load_embedder
from reid.train import TrainSettings


def test_candidates_train_side_by_side_and_end_by_the_clock(crops, root, tmp_path):
    common = {
        "train": [{"path": "train"}],
        "query": {"path": "val"},
        "gallery": {"path": "val"},
        "backbone": "slimnet_x0_5",
        "dimension": 16,
        "stages": [{"size": [32, 16], "epochs": 4}],
        "p": 4,
        "k": 3,
        "evaluate_every": 2,
        "threads": 1,
    }
    config = {
        "common": common,
        "candidates": {"a": {"keep": True}, "wrong": {"margin": "none"}, "b": {"time": [0.2, 0.8]}},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tools.training.train_candidates", tmp_path / "c.yaml", "--out", tmp_path / "out"),
            *("--minutes", "0.3", "--device", "cpu", "--only", "a", "b"),
        ],
        env={"PYTHONPATH": str(root), "REACQUIRE_DATA": str(crops), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    written = json.loads((tmp_path / "out/reid-results.json").read_text())
    assert written["over"]
    results = written["candidates"]
    assert set(results) == {"a", "b"}
    for candidate in results.values():
        assert candidate["exit"] == 0
        assert candidate["epochs"] == len(candidate["rows"]) >= 1
        assert "mAP" in candidate["rows"][-1]
    embedder = load_embedder(tmp_path / "out/reid-a.safetensors")
    assert embedder.describe()["dimension"] == 16
    assert not (tmp_path / "out/reid-b.safetensors").exists()


def test_every_candidate_of_the_repository_is_read(root):
    content = yaml.safe_load((root / "configs/reid/candidates.yaml").read_text())
    for values in content["candidates"].values():
        merged = content["common"] | {k: v for k, v in values.items() if k not in ("keep", "time")}
        assert TrainSettings.model_validate(merged).query is not None
