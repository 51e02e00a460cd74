import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tracker import ConfigError, Detections, Frame, WeightsError, open_source
from tracker.association.matching.assignment import assign
from tracker.association.overlap import iou
from tracker.config import load_pipeline_settings
from tracker.detection import load_detector
from tracker.detection.bundled import BundledDetector, anchors
from tracker.detection.merging import merge
from tracker.detection.network import build
from tracker.detection.weights_file import FORMAT, read_about
from tracker.factory import build_detector


@pytest.fixture(scope="module")
def shipped(root):
    return root / "tracker/detection/weights/person.safetensors"


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return load_detector("person")


@pytest.fixture(scope="module")
def frames(clip):
    with open_source(clip, max_frames=70) as source:
        return list(source)[60:64]


def tiny(path, *, classes=("person", "dog"), change=None, about=None):
    """Random weights of a small architecture in our format."""
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    torch.manual_seed(0)
    config = yaml_model_load("yolo11n.yaml")
    config["nc"] = len(classes)
    tensors = {
        k: v.half().contiguous() if v.is_floating_point() else v
        for k, v in DetectionModel(config, nc=len(classes), verbose=False).state_dict().items()
    }
    if change:
        change(tensors)
    metadata = {
        "format": FORMAT,
        "architecture": "yolo11n.yaml",
        "class_names": json.dumps(dict(enumerate(classes))),
        "image_size": "64",
        "score": "0.001",
    }
    save_file(tensors, path, metadata=metadata | (about or {}))
    return path


def test_finds_people_on_unseen_video(detector, frames):
    for found in detector.detect(frames):
        assert 4 <= (found.score > 0.4).sum() <= 12
        assert found.xyxy.min() >= 0
        assert found.xyxy[:, [0, 2]].max() <= 768
        assert found.xyxy[:, [1, 3]].max() <= 576
        found.validate()


def test_a_batch_equals_one_by_one(detector, frames):
    for together, alone in zip(detector.detect(frames), [detector.detect([f])[0] for f in frames], strict=True):
        np.testing.assert_allclose(together.to_array(), alone.to_array(), atol=0.05)


def test_frames_of_different_sizes(detector, frames):
    small = Frame(np.ascontiguousarray(frames[0].image[:400, :500]), 0, 0.0)
    both = detector.detect([frames[0], small])
    assert len(both) == 2
    assert both[1].xyxy[:, 2].max() <= 500


def test_nothing_in_nothing_out(detector):
    assert detector.detect([]) == []
    assert len(detector.detect([Frame(np.zeros((480, 640, 3), np.uint8), 0, 0.0)])[0]) == 0


@pytest.mark.parametrize("size", [(1, 1), (7, 900), (900, 7), (33, 31)])
def test_odd_pictures(detector, size):
    found = detector.detect([Frame(np.zeros((*size, 3), np.uint8), 0, 0.0)])[0]
    found.validate()


def test_torch_and_onnx_agree(shipped, frames):
    onnx, plain = (BundledDetector(shipped, backend=b, device="cpu").detect(frames) for b in ("onnx", "torch"))
    for a, b in zip(onnx, plain, strict=True):
        np.testing.assert_allclose(a.to_array(), b.to_array(), atol=0.02)


def test_decoding_equals_ultralytics_own(shipped, frames):
    """The same weights through Ultralytics' decoding and suppression give the same boxes."""
    import cv2
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load
    from ultralytics.utils.nms import non_max_suppression

    weights = read_about(shipped)
    config = yaml_model_load(weights.architecture)
    config["nc"] = 1
    model = DetectionModel(config, nc=1, verbose=False)
    model.load_state_dict({k: v.float() for k, v in load_file(shipped).items()})
    size = weights.image_size
    image = frames[0].image
    height = round(576 * size / 768)
    padded = np.full((-(-height // 32) * 32, size, 3), 114, np.uint8)
    padded[:height] = cv2.resize(image, (size, height), interpolation=cv2.INTER_LINEAR)
    batch = torch.from_numpy(padded[:, :, ::-1].transpose(2, 0, 1).copy())[None].float() / 255
    with torch.inference_mode():
        rows = non_max_suppression(model.eval()(batch)[0], 0.3, 0.7)[0].numpy()
    theirs = rows[np.argsort(-rows[:, 4])]
    theirs[:, :4] *= 768 / size
    ours = BundledDetector(shipped, score=0.3, backend="torch", device="cpu").detect(frames[:1])[0]
    np.testing.assert_allclose(ours.score, theirs[:, 4], atol=1e-3)
    np.testing.assert_allclose(ours.xyxy, np.clip(theirs[:, :4], 0, [768, 576, 768, 576]), atol=0.5)


def test_campus_precision_and_recall(campus, detector):
    """71 real frames that were not trained on; at the shipped score people are found where the ground truth has them.

    0.93 and 0.79 are measured.
    """
    truth = np.loadtxt(campus / "gt/gt.txt", delimiter=",")
    truth[:, 4:6] += truth[:, 2:4]
    hits = boxes = 0
    with open_source(campus) as source:
        for frame in source:
            found = detector.detect([frame])[0]
            overlap = iou(found.xyxy, truth[truth[:, 0] == frame.index + 1, 2:6])
            hits += len(assign(1 - overlap, 0.5)[0])
            boxes += len(found)
    assert hits / boxes > 0.90
    assert hits / len(truth) > 0.77


def test_a_tracker_gets_weak_boxes_too(detector):
    settings = load_pipeline_settings("default")
    assert build_detector(settings).describe()["score"] == 0.1
    assert detector.describe()["score"] == pytest.approx(0.35)
    settings = load_pipeline_settings("default", ["detector.score=0.3"])
    assert build_detector(settings).describe()["score"] == 0.3


def test_higher_score_keeps_fewer(shipped, frames):
    low, high = (BundledDetector(shipped, score=s).detect(frames[:1])[0] for s in (0.2, 0.6))
    assert len(low) > len(high) > 0
    assert high.score.min() >= 0.6


def test_class_filter_by_name(tmp_path, frames):
    path = tiny(tmp_path / "two.safetensors")
    everything = load_detector(path)
    dogs = load_detector(path, classes=["Dog"])
    assert set(dogs.detect(frames[:1])[0].class_id.tolist()) <= {1}
    assert everything.class_names == {0: "person", 1: "dog"}


def test_unknown_class_suggests_a_name(detector):
    with pytest.raises(ConfigError, match=r"class 'persn' .* did you mean person\?"):
        load_detector("person", classes=["persn"])


def test_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="no such weights file"):
        load_detector(tmp_path / "x.safetensors")


def test_truncated_file(shipped, tmp_path):
    path = tmp_path / "cut.safetensors"
    path.write_bytes(shipped.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match=r"cut\.safetensors: damaged"):
        load_detector(path)


def test_weights_of_something_else(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors", metadata={"format": "soup"})
    with pytest.raises(WeightsError, match=r"expected weights of format 'reacquire-detector/1', got 'soup'"):
        load_detector(tmp_path / "other.safetensors")


def test_wrong_architecture_says_what_differs(tmp_path):
    def drop(tensors):
        del tensors["model.0.conv.weight"]

    with pytest.raises(WeightsError, match=r"model\.0\.conv\.weight: expected \(16, 3, 3, 3\), got nothing"):
        load_detector(tiny(tmp_path / "less.safetensors", change=drop))


def test_unwritable_cache_falls_back_to_torch(shipped, frames, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "file" / "cache"))
    detector = BundledDetector(shipped, device="cpu")
    assert detector.describe()["backend"] == "torch cpu"
    assert len(detector.detect(frames[:1])[0])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_export_in_the_cache_is_made_anew(tmp_path, monkeypatch, frames, damage):
    """Any damage is seen, also of one bit in the middle of the weights; the next start finds a whole file."""
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "cache"))
    path = tiny(tmp_path / "two.safetensors")
    first = load_detector(path, device="cpu").detect(frames[:1])[0]
    (export,) = (tmp_path / "cache").glob("detector-*.onnx")
    content = bytearray(export.read_bytes())
    content[len(content) // 2] ^= 64
    export.write_bytes({"cut": content[:9000], "flipped": content, "empty": b""}[damage])
    for _ in range(2):
        detector = load_detector(path, device="cpu")
        assert detector.describe()["backend"] == "onnxruntime cpu"
        np.testing.assert_allclose(detector.detect(frames[:1])[0].to_array(), first.to_array(), atol=1e-3)
    assert [p.name for p in (tmp_path / "cache").glob("detector-*")] == [export.name]


def test_a_full_disk_falls_back_to_torch(tmp_path, monkeypatch, frames):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tracker.detection.network.write_onnx", full)
    detector = load_detector(tiny(tmp_path / "two.safetensors"), device="cpu")
    assert detector.describe()["backend"] == "torch cpu"
    assert not list((tmp_path / "cache").iterdir())


def test_weights_that_are_no_numbers(tmp_path, frames):
    def spoil(tensors):
        tensors["model.5.conv.weight"][0, 0, 0, 0] = float("nan")

    with pytest.raises(WeightsError, match=r"damaged: model\.5\.conv\.weight has NaN or infinity"):
        load_detector(tiny(tmp_path / "nan.safetensors", change=spoil), device="cpu")


def test_scores_that_are_no_numbers(detector, frames, monkeypatch):
    """Finite weights may still be too large to reckon with; no picture must look empty for it."""
    sides, classes = detector._run(np.zeros((1, 384, 512, 3), np.uint8))
    monkeypatch.setattr(detector, "_run", lambda _: (sides, np.full_like(classes, np.nan)))
    with pytest.raises(WeightsError, match="gives scores that are no numbers"):
        detector.detect(frames[:1])


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("image_size", "100000"), ("image_size", "0"), ("image_size", "x"), ("score", "nan"), ("score", "2"),
        ("class_names", "[]"), ("class_names", '{"5": "x"}'), ("class_names", '{"0": 1}'), ("class_names", "{" * 5000),
        ("class_names", json.dumps(dict.fromkeys(range(20000), "x"))), ("architecture", "yolo11q.yaml"),
    ],
)  # fmt: skip
def test_facts_that_are_missing_or_wrong_are_named(tmp_path, fact, value):
    path = tmp_path / "w.safetensors"
    about = {"format": FORMAT, "architecture": "yolo11n.yaml", "class_names": '{"0": "person"}'}
    about |= {"image_size": "64", "score": "0.3"}
    save_file({"x": torch.zeros(1)}, path, metadata=about | {fact: value})
    with pytest.raises(WeightsError, match=f"'{fact}' is missing or not understood") as caught:
        read_about(path)
    assert len(str(caught.value)) < 400
    save_file({"x": torch.zeros(1)}, path, metadata={k: v for k, v in about.items() if k != fact})
    with pytest.raises(WeightsError, match=f"'{fact}' is missing or not understood"):
        read_about(path)


def test_ours_under_any_name(shipped, tmp_path):
    for name in ("weights.bin", "PERSON.SAFETENSORS", "x.onnx", "x.pt", "weights"):
        (tmp_path / name).write_bytes(shipped.read_bytes())
        assert load_detector(tmp_path / name, device="cpu").class_names == {0: "person"}


def test_a_gpu_that_is_not_there_is_refused(shipped):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(WeightsError, match="no CUDA GPU"):
        load_detector("person", device="cuda:0")


def test_shipped_file_is_small_and_plain(shipped):
    assert shipped.stat().st_size < 6_500_000
    assert all(t.dtype in (torch.float16, torch.int64) for t in load_file(shipped).values())
    assert sum(p.numel() for p in build(read_about(shipped)).parameters()) > 1e6


def test_anchors_cover_the_picture_once():
    centres, strides = anchors(64, 32)
    assert len(centres) == 8 * 4 + 4 * 2 + 2 * 1
    assert (centres[strides == 32] == [[16, 16], [48, 16]]).all()


def test_merge_is_per_class_and_best_first():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    kept = merge(boxes, np.array([0.5, 0.9, 0.7, 0.6], np.float32), np.array([0, 0, 1, 0]), 0.5)
    assert kept.tolist() == [1, 2, 3]


def test_detections_say_what_they_are(detector, frames):
    assert isinstance(detector.detect(frames[:1])[0], Detections)
    about = detector.describe()
    assert len(about["sha256"]) == 64
    assert about["architecture"]
