import json
import shutil

import cv2
import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

from reid.errors import ReacquireError
from reid.vectors import read_vectors
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
    shutil.copytree(root / "query/car-0", root / "odd")
    (root / "odd/0_c2.png").rename(root / "odd/photo.png")
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
p: 3
k: 2
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


V = ("--format", "folders")


def test_eval_says_which_threshold_and_reranks(crops):
    done = run(
        "eval", "--query", crops / "query", "--gallery", crops / "gallery", *V, "--rerank", "--rerank-by", "5,2,0.3"
    )
    assert done.exit_code == 0, done.output
    assert "re-ranked" in done.stdout
    assert "The same up to a cosine distance of" in done.stdout
    assert "take it as a hint" in done.stdout  # so few pairs


def test_several_galleries_are_one(crops, tmp_path):
    whole = ["eval", "--query", crops / "query", "--gallery", crops / "gallery", *V, "--json"]
    parts = [tmp_path / "a", tmp_path / "b"]
    for number, folder in enumerate(sorted((crops / "gallery").iterdir())):
        shutil.copytree(folder, parts[number % 2] / folder.name)
    split = ["eval", "--query", crops / "query", "--gallery", parts[0], "--gallery", parts[1], *V, "--json"]
    expected, got = (json.loads(run(*arguments).stdout) for arguments in (whole, split))
    assert got["gallery"] == expected["gallery"] == 18
    for score in ("rank1", "mAP", "mINP"):
        assert got[score] == pytest.approx(expected[score], abs=1e-6)


def test_one_folder_as_query_and_gallery_leaves_the_image_itself_out(tmp_path):
    random = np.random.default_rng(0)
    for identity in range(3):
        for shot in range(2):
            path = tmp_path / f"same/{identity}/{shot}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), random.integers(0, 255, (64, 32, 3)).astype(np.uint8))
    got = json.loads(
        run("eval", "--query", tmp_path / "same", "--gallery", tmp_path / "same/../same", *V, "--json").stdout
    )
    assert got["queries"] == 6
    assert got["mAP"] < 1  # noise has no identity; with itself in the gallery, every query would be perfect at rank 1
    assert got["verification"][0]["false_non_match_rate"] > 0


def test_compare_has_onnx_and_time_and_size(crops, tmp_path):
    assert run("export", "--out", tmp_path / "ours.onnx", "--inputs", "crops").exit_code == 0
    options = ["--query", crops / "query", "--gallery", crops / "gallery", *V]
    table = run("compare", "default", tmp_path / "ours.onnx", *options).stdout
    assert "ms/crop" in table
    assert "ours.onnx" in table
    both = json.loads(run("compare", "default", tmp_path / "ours.onnx", *options, "--json").stdout)
    first, second = both.values()
    assert first["mAP"] == pytest.approx(second["mAP"], abs=1e-3)
    assert second["bytes"] == (tmp_path / "ours.onnx").stat().st_size
    assert second["milliseconds_per_crop"] > 0


@pytest.mark.parametrize("name", ["v.npz", "v.parquet"])
def test_embed_then_forget(crops, tmp_path, name):
    done = run("embed", crops / "query", "--out", tmp_path / name, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["vectors"] == 18
    assert "personal data" in done.stderr
    assert (tmp_path / name).stat().st_mode & 0o077 == 0
    stored = read_vectors(tmp_path / name)
    np.testing.assert_allclose(np.linalg.norm(stored.vector, axis=1), 1, atol=1e-4)
    assert len(stored.name) == len(set(stored.name)) == 18
    assert stored.about["weights"] == "default.safetensors"
    gone = run("forget", tmp_path / name, "--match", "car-2/*", "--json")
    assert json.loads(gone.stdout) == {"file": str(tmp_path / name), "deleted": 3, "left": 15}
    left = read_vectors(tmp_path / name)
    assert not [n for n in left.name if n.startswith("car-2/")]
    kept = [stored.name.index(n) for n in left.name]
    assert np.array_equal(left.vector, stored.vector[kept])
    assert run("forget", tmp_path / name).exit_code == 0
    assert not (tmp_path / name).exists()


def test_parquet_is_what_others_read(crops, tmp_path):
    from pyarrow import parquet

    run("embed", crops / "query", "--out", tmp_path / "v.parquet")
    table = parquet.read_table(tmp_path / "v.parquet")
    assert table.column_names == ["name", "vector"]
    assert len(table["vector"][0].as_py()) == 256


def test_export_checks_itself_against_torch(crops, tmp_path):
    done = run("export", "--out", tmp_path / "e.onnx", "--check", crops / "query", "--json")
    assert json.loads(done.stdout)["largest_difference"] < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "--query", "none", "--gallery", "{crops}/gallery", "--format", "folders"], "none: no such folder"),
        (["eval", "--query", "{crops}/query", "--gallery", "{crops}/odd"], "expected a name like 0002_c1s1"),
        (["eval", "--query", "q", "--gallery", "g", "--format", "market"], "data format 'market' is unknown"),
        (["eval", "-w", "no.pth", "--query", "{crops}/query", "--gallery", "{crops}/gallery", *V], "no such weights"),
        (["embed", "{crops}/query", "--out", "v.csv"], "ends in .parquet or .npz"),
        (["embed", "{crops}/query", "--out", "nowhere/v.npz"], "there is no folder"),
        (["forget", "{crops}/query/car-0/0_c2.png"], "not a file of vectors"),
        (["export", "--out", "model.pt"], "ends in .onnx"),
    ],
)
def test_bad_input_is_told(crops, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReacquireError, match=message):
        CliRunner().invoke(app, ["reid", *(a.format(crops=crops) for a in arguments)], catch_exceptions=False)


@pytest.mark.parametrize(
    "option", [["--size", "big"], ["--rerank", "--rerank-by", "20,6"], ["--rerank", "--rerank-by", "1,9,2"]]
)
def test_wrong_usage(crops, option):
    done = run("eval", "--query", crops / "query", "--gallery", crops / "gallery", *V, *option)
    assert done.exit_code == 2
    assert "expected" in done.stderr


def test_nothing_is_overwritten_unless_asked(crops, tmp_path):
    (tmp_path / "v.npz").write_text("mine")
    assert run("embed", crops / "query", "--out", tmp_path / "v.npz").exit_code == 1
    assert (tmp_path / "v.npz").read_text() == "mine"
    assert run("embed", crops / "query", "--out", tmp_path / "v.npz", "--overwrite").exit_code == 0


def test_query_and_gallery_that_do_not_belong_together(crops, tmp_path):
    for folder, camera in (("q", 1), ("g", 1)):
        path = tmp_path / folder / f"0001_c{camera}_1.png"
        path.parent.mkdir()
        shutil.copy(crops / "query/car-0/0_c2.png", path)
    with pytest.raises(ReacquireError, match=r"no query has an image .* \(1 queries, 1 gallery images\)"):
        CliRunner().invoke(
            app,
            ["reid", "eval", "--query", str(tmp_path / "q"), "--gallery", str(tmp_path / "g")],
            catch_exceptions=False,
        )


def test_report_is_one_page_and_is_refused_where_it_cannot_be_written(crops, tmp_path):
    options = ["--query", crops / "query", "--gallery", crops / "gallery", *V]
    done = run("eval", *options, "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    assert "it shows crops of people" in done.stderr
    assert (tmp_path / "r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    again = run("eval", *options, "--report", tmp_path / "r.html")
    assert again.exit_code == 1
    assert "--overwrite" in str(again.exception)
