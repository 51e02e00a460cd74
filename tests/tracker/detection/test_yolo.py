"""Ultralytics' weights: safe to load, told apart, and clear when they cannot be had."""

import os

import numpy as np
import pytest
import torch

from tracker import ConfigError, Frame, WeightsError
from tracker.detection import load_detector


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint as Ultralytics writes it, of random weights and two classes."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=2, verbose=False)
    model.names = {0: "person", 1: "car"}
    path = tmp_path_factory.mktemp("weights") / "mine.pt"
    torch.save({"model": model.half(), "train_args": {"imgsz": 64, "task": "detect"}, "epoch": -1}, path)
    return path


@pytest.fixture
def picture():
    return Frame(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8).astype(np.uint8), 0, 0.0)


def test_a_checkpoint_detects_in_batches(checkpoint, picture):
    detector = load_detector(checkpoint, score=0.0001, image_size=64)
    found = detector.detect([picture, picture])
    assert len(found) == 2
    np.testing.assert_allclose(found[0].to_array(), found[1].to_array(), atol=1e-3)
    assert detector.class_names == {0: "person", 1: "car"}
    assert detector.detect([]) == []
    assert detector.describe()["weights"] == "mine.pt"


def test_class_filter_by_name(checkpoint, picture):
    found = load_detector(checkpoint, classes=["car"], score=0.0001, image_size=64).detect([picture])[0]
    assert set(found.class_id.tolist()) <= {1}
    with pytest.raises(ConfigError, match=r"class 'cat' .* did you mean car\?"):
        load_detector(checkpoint, classes=["cat"])


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(WeightsError, match=r"evil\.pt: refused.*--trust-weights"):
        load_detector(tmp_path / "evil.pt")
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + bytes(100)])
def test_damaged_checkpoint(tmp_path, content):
    (tmp_path / "bad.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.pt"):
        load_detector(tmp_path / "bad.pt")


def test_a_file_that_is_not_there_names_the_bundled_one():
    with pytest.raises(WeightsError, match=r"mine\.pt: no such weights; `person` is the name of the bundled"):
        load_detector("some/folder/mine.pt")


def test_a_name_to_be_downloaded_while_offline(monkeypatch, tmp_path):
    import ultralytics.utils.downloads as downloads

    def no_network(*_, **__):
        raise ConnectionError("no route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(downloads, "attempt_download_asset", no_network)
    with pytest.raises(WeightsError, match=r"yolo11n\.pt: .*cannot be downloaded.*bundled `person`"):
        load_detector("yolo11n.pt")


def test_onnx_export_of_a_teacher(data):
    path = data / "weights/teacher-yolov8n-int8.onnx"
    if not path.exists():
        pytest.skip("no teacher in the data folder")
    from tracker import open_source

    detector = load_detector(path, classes=["person"], score=0.4)
    with open_source(data / "mot15/TUD-Campus", max_frames=2) as source:
        found = detector.detect(list(source))
    assert all(3 <= len(f) <= 8 for f in found)
