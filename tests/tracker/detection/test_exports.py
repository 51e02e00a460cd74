"""Exports of Ultralytics: the file's own task, names, size and batch decide, never its name."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tracker import ConfigError, WeightsError, open_source
from tracker.detection import load_detector

CLASSES = {"detect": "", "segment": "-seg", "pose": "-pose", "obb": "-obb", "classify": "-cls"}


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    """Checkpoints by task whose detecting part is the bundled person detector's; the rest of each is random."""
    from safetensors.torch import load_file
    from ultralytics.nn import tasks
    from ultralytics.utils import ROOT, YAML

    known = load_file(root / "tracker/detection/weights/person.safetensors")
    folder = tmp_path_factory.mktemp("exports")
    models = {
        "detect": tasks.DetectionModel,
        "segment": tasks.SegmentationModel,
        "pose": tasks.PoseModel,
        "obb": tasks.OBBModel,
        "classify": tasks.ClassificationModel,
    }

    def make(task):
        path = folder / f"{task}.pt"
        if not path.exists():
            torch.manual_seed(0)
            config = YAML.load(ROOT / f"cfg/models/11/yolo11{CLASSES[task]}.yaml") | {"scale": "n", "nc": 1}
            more = {"data_kpt_shape": (17, 3)} if task == "pose" else {}
            model = models[task](config, ch=3, nc=1, verbose=False, **more)
            state = model.state_dict()
            fitting = {n: t for n, t in known.items() if n in state and state[n].shape == t.shape}
            model.load_state_dict(state | fitting)
            model.names, model.task, model.args = {0: "person"}, task, {"task": task, "imgsz": 512}
            if task == "pose":
                model.kpt_shape = [17, 3]
            torch.save({"model": model.half().eval(), "train_args": model.args}, path)
        return path

    return make


@pytest.fixture(scope="module")
def exported(trained):
    """The same in ONNX, as Ultralytics writes it, by options."""
    from ultralytics import YOLO

    def make(task, **options):
        name = "-".join([task, *map(str, options.values()), "export"])
        path = trained(task).with_name(f"{name}.onnx")
        if not path.exists():
            YOLO(str(trained(task))).export(format="onnx", simplify=False, **({"imgsz": 512} | options))
            trained(task).with_suffix(".onnx").rename(path)
        return path

    return make


@pytest.fixture(scope="module")
def frames(clip):
    with open_source(clip, max_frames=63) as source:
        return list(source)[60:63]


@pytest.fixture(scope="module")
def people(frames):
    """What the bundled detector finds in them."""
    found = load_detector("person", device="cpu", score=0.4).detect(frames)
    assert all(4 <= len(some) <= 12 for some in found)
    return found


def alike(found, people):
    """As many boxes as the bundled detector's, and each on one of them."""
    from tracker.association.overlap import iou

    for some, expected in zip(found, people, strict=True):
        some.validate()
        assert abs(len(some) - len(expected)) <= 2
        overlap = iou(expected.xyxy, some.xyxy)
        assert (overlap.max(1) > 0.8).mean() > 0.75
        assert set(some.class_id.tolist()) == {0}


@pytest.mark.parametrize("task", ["detect", "segment", "pose"])
@pytest.mark.parametrize("kind", ["pt", "onnx"])
def test_boxes_of_every_task(trained, exported, frames, people, task, kind):
    path = trained(task) if kind == "pt" else exported(task)
    detector = load_detector(path, device="cpu", score=0.4)
    assert (detector.class_names, detector.describe()["task"]) == ({0: "person"}, task)
    found = detector.detect(frames)
    alike(found, people)
    assert {"segment": "mask", "pose": "keypoints"}.get(task, "") in ("", *found[0].data)


@pytest.mark.parametrize("kind", ["pt", "onnx"])
def test_oriented_boxes_are_tracked_by_the_rectangle_around_them(trained, exported, frames, kind):
    """Angles are random here, so that boxes are turned; each rectangle is in the picture, and around a found box."""
    path = trained("obb") if kind == "pt" else exported("obb")
    detector = load_detector(path, device="cpu", score=0.4)
    (found,) = detector.detect(frames[:1])
    found.validate()
    assert len(found) >= 3
    assert set(found.class_id.tolist()) == {0}
    assert found.xyxy.min() >= 0
    assert (found.xyxy <= [*frames[0].size, *frames[0].size]).all()
    raw = detector._predict([frames[0].image])[0].obb
    corners = raw.xyxyxyxy.cpu().numpy()
    expected = np.concatenate([corners.min(1), corners.max(1)], axis=1).clip(0, [*frames[0].size, *frames[0].size])
    np.testing.assert_allclose(found.xyxy, expected, atol=0.01)


@pytest.mark.parametrize("kind", ["pt", "onnx"])
def test_classification_finds_no_boxes(trained, exported, kind):
    path = trained("classify") if kind == "pt" else exported("classify")
    with pytest.raises(WeightsError, match="task 'classify', which finds no boxes"):
        load_detector(path, device="cpu")


def test_the_name_says_nothing(exported, frames, people, tmp_path):
    for name in ("my-pose-cls.onnx", "x_saved_model.bin", "it's a model", "best.pt"):
        (tmp_path / name).write_bytes(exported("segment").read_bytes())
        detector = load_detector(tmp_path / name, device="cpu", score=0.4)
        assert detector.describe()["task"] == "segment"
        alike(detector.detect(frames[:1]), people[:1])


OPTIONS = [{"imgsz": [384, 512]}, {"batch": 2}, {"dynamic": True, "imgsz": 480}]


@pytest.mark.parametrize("options", OPTIONS)
def test_size_and_batch_of_the_file(trained, exported, frames, options):
    """Three pictures where two are taken at once; another shape than square; any."""
    size = 480 if options.get("imgsz") == 480 else 512
    expected = load_detector(trained("detect"), device="cpu", score=0.4, image_size=size).detect(frames)
    detector = load_detector(exported("detect", **options), device="cpu", score=0.4)
    assert detector.describe()["image_size"] == size
    alike(detector.detect(frames), expected)
    assert detector.detect([]) == []


def test_a_fixed_size_cannot_be_asked_otherwise(exported, frames, people):
    with pytest.raises(ConfigError, match="takes pictures of 512x512 alone, got 320; leave it out, or export"):
        load_detector(exported("detect"), device="cpu", image_size=320)
    load_detector(exported("detect"), device="cpu", image_size=512)
    detector = load_detector(exported("detect", dynamic=True), device="cpu", image_size=512, score=0.4)
    alike(detector.detect(frames[:1]), people[:1])


def bare(path, source, **changes):
    """Another's export: without words, or with other ones."""
    model = onnx.load(str(source))
    facts = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    if changes:
        onnx.helper.set_model_props(model, facts | changes)
    onnx.save(model, str(path))
    return path


def test_a_file_with_its_weights_beside_it(exported, frames, people, tmp_path):
    model = onnx.load(str(exported("detect")))
    onnx.save(model, str(tmp_path / "d.onnx"), save_as_external_data=True, location="d.data", size_threshold=100)
    assert (tmp_path / "d.onnx").stat().st_size < 1_000_000
    alike(load_detector(tmp_path / "d.onnx", device="cpu", score=0.4).detect(frames[:1]), people[:1])


def test_a_detector_without_metadata(exported, frames, people, tmp_path):
    path = bare(tmp_path / "d.onnx", exported("detect"))
    detector = load_detector(path, device="cpu", score=0.4)
    assert detector.class_names == {0: "class0"}
    alike(detector.detect(frames), people)


@pytest.mark.parametrize("task", ["segment", "pose", "obb", "classify"])
def test_other_tasks_without_metadata_are_refused(exported, tmp_path, task):
    with pytest.raises(WeightsError, match=r"does not say its task .*(outputs|are no scores)"):
        load_detector(bare(tmp_path / "x.onnx", exported(task)), device="cpu")


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("segment", {"task": "detect"}, r"task is 'detect' with 1 classes, which takes 5 numbers a box.* has 37"),
        ("detect", {"task": "pose", "kpt_shape": "[17, 3]"}, "which takes 56 numbers a box"),
        ("detect", {"names": "{0: 'a', 1: 'b'}"}, "with 2 classes, which takes 6 numbers a box"),
        ("detect", {"names": "{0: 'a', 2: 'b'}"}, "says of 'names' is not understood"),
        ("detect", {"names": "__import__('os').system('true')"}, "says of 'names' is not understood"),
        ("detect", {"imgsz": "[100000, 100000]"}, "says of 'imgsz' is not understood"),
        ("detect", {"batch": "1000000"}, "says of 'batch' is not understood"),
        ("detect", {"task": "depth"}, "task 'depth', which finds no boxes"),
    ],
)  # fmt: skip
def test_words_that_do_not_fit_the_network(exported, tmp_path, task, changes, message):
    with pytest.raises(WeightsError, match=message):
        load_detector(bare(tmp_path / "x.onnx", exported(task), **changes), device="cpu")


@pytest.mark.parametrize("side", [10**6, 2**40])
def test_a_declared_size_is_read_before_anything_is_made(tmp_path, side):
    nodes = [helper.make_node("AveragePool", ["images"], ["out"], kernel_shape=[8, 8], strides=[8, 8])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "x.onnx"))
    with pytest.raises(WeightsError, match="damaged, or too large"):
        load_detector(tmp_path / "x.onnx", device="cpu")


def test_an_openvino_folder(trained, frames, people):
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    from ultralytics import YOLO

    folder = YOLO(str(trained("segment"))).export(format="openvino", imgsz=512)
    detector = load_detector(folder, device="cpu", score=0.4)
    assert detector.describe()["task"] == "segment"
    alike(detector.detect(frames[:1]), people[:1])


def test_a_checkpoint_with_numbers_that_are_none(trained, tmp_path):
    content = torch.load(trained("detect"), weights_only=False)
    next(content["model"].parameters()).data[0] = float("nan")
    torch.save(content, tmp_path / "nan.pt")
    with pytest.raises(WeightsError, match=r"damaged: model\.0\.conv\.weight has NaN"):
        load_detector(tmp_path / "nan.pt", device="cpu")


def test_a_checkpoint_trained_at_no_size(trained, tmp_path):
    content = torch.load(trained("detect"), weights_only=False)
    torch.save(content | {"train_args": {"imgsz": 10**7, "task": "detect"}}, tmp_path / "big.pt")
    with pytest.raises(WeightsError, match="was trained at size 10000000"):
        load_detector(tmp_path / "big.pt", device="cpu")


MANY = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(i + 1)}: &{chr(i + 1)} [{', '.join(['*' + chr(i)] * 8)}]\n" for i in range(97, 107)
)
"""A billion x's, once its aliases are written out."""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (None, "there is no metadata.yaml in it"),
        ("task: depth\n", "task 'depth'; expected one of"),
        ("task: detect\nnames: {0: a, 7: b}\n", "says of 'names' is not understood"),
        (MANY, "damaged"),
        ("- 1\n", "damaged"),
        ("task: [detect\n", "damaged"),
        ("task: !!python/object/apply:os.system ['touch ran']\n", "damaged"),
    ],
)  # fmt: skip
def test_what_a_folder_says_of_itself(tmp_path, words, message):
    folder = tmp_path / "x"
    folder.mkdir()
    for name in ("x.xml", "x.bin"):
        (folder / name).write_bytes(b"")
    if words is not None:
        (folder / "metadata.yaml").write_text(words)
    with pytest.raises(WeightsError, match=message):
        load_detector(folder, device="cpu")
