import json

import cv2
import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

from tracker.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, ["reid", *map(str, arguments)])


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    """Six identities, each a colour, as plain folders with cameras in the names."""
    root, random = tmp_path_factory.mktemp("crops"), np.random.default_rng(0)
    for identity in range(6):
        colour = random.integers(30, 225, 3)
        for split in ("query", "gallery"):
            for image in range(3):
                noisy = np.clip(colour + random.normal(0, 12, (64, 32, 3)), 0, 255).astype(np.uint8)
                path = root / split / f"car-{identity}" / f"{image}_c{1 + (split == 'query')}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), noisy)
    return root


def test_train_then_eval_and_compare_on_ones_own_folders(crops, tmp_path):
    config = tmp_path / "mine.yaml"
    config.write_text(
        f"""
train: [{{format: folders, path: {crops / "gallery"}}}]
query: {{format: folders, path: {crops / "query"}}}
gallery: {{format: folders, path: {crops / "gallery"}}}
backbone: osnet_x0_25
dimension: 16
stages: [{{size: [64, 32], epochs: 2}}]
identities: 3
images: 2
"""
    )
    done = run("train", config, "--out", tmp_path / "run", "--device", "cpu")
    assert done.exit_code == 0, done.output
    weights = tmp_path / "run/weights.safetensors"
    assert weights.exists()
    options = ["--query", crops / "query", "--gallery", crops / "gallery", "--format", "folders", "--json"]
    judged = run("eval", "--weights", weights, *options)
    assert 0 <= json.loads(judged.stdout)["mAP"] <= 1
    both = json.loads(run("compare", "default", weights, *options).stdout)
    assert set(both) == {"default", str(weights)}
    assert both["default"]["rank1"] > 0.5


def test_embed(crops, tmp_path):
    done = run("embed", crops / "query", "--out", tmp_path / "v.npz")
    assert done.exit_code == 0, done.output
    stored = np.load(tmp_path / "v.npz")
    assert len(stored["name"]) == 18
    np.testing.assert_allclose(np.linalg.norm(stored["vector"], axis=1), 1, atol=1e-4)


def test_export_runs_in_onnx_runtime(tmp_path):
    done = run("export", "--out", tmp_path / "e.onnx")
    assert done.exit_code == 0, done.output
    session = onnxruntime.InferenceSession(str(tmp_path / "e.onnx"), providers=["CPUExecutionProvider"])
    image = np.zeros((90, 120, 3), np.uint8)
    vectors = session.run(None, {"image": image, "boxes": np.array([[5, 5, 60, 80]], np.float32)})[0]
    assert vectors.shape == (1, 256)


def test_a_wrong_key_in_the_config_is_told(tmp_path):
    from tracker import ConfigError

    config = tmp_path / "mine.yaml"
    config.write_text("train: []\nstages: []\nbackbon: osnet\n")
    with pytest.raises(ConfigError, match="did you mean 'backbone'"):
        CliRunner().invoke(app, ["reid", "train", str(config)], catch_exceptions=False)
