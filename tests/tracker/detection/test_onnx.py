"""ONNX of any family without its library: networks of each layout, with known outputs, read back as boxes."""

import sys

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tracker import ConfigError, Frame, WeightsError
from tracker.detection import load_detector
from tracker.detection.coco import COCO_BY_CATEGORY, COCO_NAMES
from tracker.detection.onnx import layouts
from tracker.detection.onnx.pictures import Pictures, draw, place

SIDE = 128
CLASSES = 3
BOXES = np.float32([[10, 20, 50, 100], [60.5, 8.25, 120, 64], [4, 70, 30, 127]])
"""Corners in pixels of the network's picture."""
SCORE, CLASS = np.float32([0.9, 0.6, 0.35]), np.array([2, 0, 1])


def centers(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)


def scores(count, rows, value=None):
    """``(count, CLASSES)`` with the known scores in some rows, nearly none elsewhere."""
    table = np.full((count, CLASSES), 0.001, np.float32)
    table[rows, CLASS] = SCORE if value is None else value
    return table


def places(strides):
    """Column, row and stride of every place, one at a time."""
    return [(x, y, s) for s in strides for y in range(-(-SIDE // s)) for x in range(-(-SIDE // s))]


STRIDES = (8, 16, 32)
N = len(places(STRIDES))
ROWS = [17, 200, 330]


def logit(p):
    return np.log(p / (1 - p)).astype(np.float32)


def yolov8():
    table = np.zeros((N, 4 + CLASSES), np.float32)
    table[:, 2:4] = 5
    table[ROWS, :4] = centers(BOXES)
    table[:, 4:] = scores(N, ROWS)
    return {"output0": table.T[None]}


def objectness(count, certain=0.8):
    table = np.full((count, 5 + CLASSES), 0.5, np.float32)
    table[:, :4] = np.random.default_rng(0).uniform(5, SIDE - 5, (count, 4))
    table[:, 4], table[:, 5:] = certain, scores(count, ROWS, SCORE / certain)
    table[ROWS, :4] = centers(BOXES)
    if certain != 1:
        table[np.setdiff1d(np.arange(count), ROWS), 4] = 0.01
    return table[None]


def yolox():
    table = objectness(N)[0]
    for row, (x, y, stride) in enumerate(places(STRIDES)):
        cx, cy, w, h = table[row, :4]
        table[row, :4] = cx / stride - x, cy / stride - y, np.log(w / stride), np.log(h / stride)
    # Other places say what is near them, as a trained network's do.
    others = np.setdiff1d(np.arange(N), ROWS)
    table[others, :4] = np.random.default_rng(1).normal(0, 0.5, (len(others), 4))
    return {"output": table[None]}


def end_to_end():
    table = np.zeros((300, 6), np.float32)
    table[:3] = np.concatenate([BOXES, SCORE[:, None], CLASS[:, None]], 1)
    return {"output0": table[None]}


def shares():
    table = np.full((300, 4 + CLASSES), 0.01, np.float32)
    table[:3, :4], table[:, 4:] = centers(BOXES) / SIDE, scores(300, [0, 1, 2])
    return {"output0": table[None]}


def named():
    return {"labels": CLASS[None].astype(np.int64), "boxes": BOXES[None], "scores": SCORE[None]}


def queries(boxes, classes):
    said = np.full((50, 91 if boxes == "dets" else CLASSES), -8, np.float32)
    said[np.arange(3), CLASS] = logit(SCORE)
    shares = np.full((50, 4), 0.5, np.float32)
    shares[:3] = centers(BOXES) / SIDE
    return {boxes: shares[None], classes: said[None]}


def nanodet():
    """Two bins share each distance between them; places from which the distances fit into seven strides."""
    all_places = places((8, 16, 32, 64))
    table = np.full((len(all_places), CLASSES + 32), -30, np.float32)
    table[:, :CLASSES] = 0.001
    table[:, CLASSES::8] = 30
    for box, score, class_id in zip(BOXES, SCORE, CLASS, strict=True):
        cx, cy = (box[:2] + box[2:]) / 2
        row = min(
            (i for i, p in enumerate(all_places) if p[2] == 16),
            key=lambda i: abs(all_places[i][0] * 16 - cx) + abs(all_places[i][1] * 16 - cy),
        )
        x, y, stride = all_places[row]
        table[row, class_id] = score
        sides = np.array([x * stride - box[0], y * stride - box[1], box[2] - x * stride, box[3] - y * stride]) / stride
        for side, distance in enumerate(sides):
            low = min(int(distance), 6)
            weights = np.full(8, 1e-12)
            weights[low], weights[low + 1] = max(1 - (distance - low), 1e-12), max(distance - low, 1e-12)
            table[row, CLASSES + 8 * side : CLASSES + 8 * side + 8] = np.log(weights)
    return {"output": table[None]}


NETWORKS = {
    "yolov8": yolov8,
    "yolov5": lambda: {"output0": objectness(3 * N)},
    "yolov6": lambda: {"outputs": objectness(N, 1.0)},
    "yolox": yolox,
    "yolox-decoded": lambda: {"output": objectness(N)},
    "end-to-end": end_to_end,
    "rtdetr-ultralytics": shares,
    "rtdetr": named,
    "rtdetr-transformers": lambda: queries("pred_boxes", "logits"),
    "rfdetr": lambda: queries("dets", "labels"),
    "nanodet": nanodet,
    "plain": named,
}


def write(path, outputs, *, batch=None, side=SIDE, sizes=False, dtype=TensorProto.FLOAT, words=None):
    """A network that says the same of every picture of a batch."""
    shape = ["batch" if batch is None else batch, 3, side, side]
    nodes = [helper.make_node("Shape", ["images"], ["all"]), helper.make_node("Slice", ["all", "0", "1"], ["first"])]
    constants = [numpy_helper.from_array(np.array([n], np.int64), str(n)) for n in (0, 1)]
    made = []
    for name, table in outputs.items():
        constants.append(numpy_helper.from_array(table, f"{name}_value"))
        constants.append(numpy_helper.from_array(np.array(table.shape[1:], np.int64), f"{name}_rest"))
        nodes.append(helper.make_node("Concat", ["first", f"{name}_rest"], [f"{name}_shape"], axis=0))
        nodes.append(helper.make_node("Expand", [f"{name}_value", f"{name}_shape"], [name]))
        kind = helper.np_dtype_to_tensor_dtype(table.dtype)
        made.append(helper.make_tensor_value_info(name, kind, [shape[0], *table.shape[1:]]))
    given = [helper.make_tensor_value_info("images", dtype, shape)]
    if sizes:
        given.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [shape[0], 2]))
        nodes.append(helper.make_node("Identity", ["orig_target_sizes"], ["unused"]))
    graph = helper.make_graph(nodes, "g", given, made, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if words:
        helper.set_model_props(model, words)
    onnx.save(model, str(path))
    return path


def network(path, family, **options):
    return write(path, NETWORKS[family](), sizes=family == "rtdetr", **options)


def picture(width=SIDE, height=SIDE):
    return Frame(np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8), 0, 0.0)


@pytest.fixture(autouse=True)
def no_ultralytics(monkeypatch):
    """As where it is not installed."""
    monkeypatch.setitem(sys.modules, "ultralytics", None)


@pytest.mark.parametrize("family", NETWORKS)
def test_every_family_is_recognised_and_read(tmp_path, family):
    detector = load_detector(network(tmp_path / "d.onnx", family), device="cpu", score=0.3)
    assert detector.describe()["layout"] == family
    (found,) = detector.detect([picture()])
    np.testing.assert_allclose(found.xyxy, BOXES, atol=1e-4)
    np.testing.assert_allclose(found.score, SCORE, atol=1e-4)
    np.testing.assert_array_equal(found.class_id, CLASS)
    assert len(load_detector(tmp_path / "d.onnx", device="cpu", score=0.5).detect([picture()])[0]) == 2


@pytest.mark.parametrize("family", NETWORKS)
def test_boxes_come_back_into_a_frame_of_another_size(tmp_path, family):
    detector = load_detector(network(tmp_path / "d.onnx", family), device="cpu", score=0.3)
    frame = picture(320, 192)
    (found,) = detector.detect([frame])
    ratio = SIDE / 320
    if detector.pictures.fit == "stretch":
        expected = BOXES * np.tile([320 / SIDE, 192 / SIDE], 2)
    else:
        shift = 0 if detector.pictures.fit == "corner" else (SIDE - round(192 * ratio)) // 2
        expected = (BOXES - [0, shift, 0, shift]) / ratio
    expected = np.clip(expected, 0, [320, 192, 320, 192])
    there = (expected[:, 3] > expected[:, 1]) & (expected[:, 2] > expected[:, 0])
    order = np.lexsort(found.xyxy.T)
    np.testing.assert_allclose(found.xyxy[order], expected[there][np.lexsort(expected[there].T)], rtol=0.01, atol=0.6)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_fixed_batch_is_filled_up(tmp_path, count):
    detector = load_detector(network(tmp_path / "d.onnx", "yolov8", batch=2), device="cpu", score=0.3)
    found = detector.detect([picture()] * count)
    assert [len(some) for some in found] == [3] * count
    assert detector.detect([]) == []


def test_frames_of_two_sizes_go_through_a_network_of_any_size_and_keep_their_order(tmp_path):
    """It finds as many boxes as its picture has columns of 32 pixels."""
    nodes = [
        helper.make_node("MaxPool", ["images"], ["p"], kernel_shape=[32, 32], strides=[32, 32]),
        helper.make_node("ReduceMax", ["p"], ["columns"], axes=[1, 2], keepdims=0),
        helper.make_node("Reshape", ["columns", "to"], ["flat"]),
        helper.make_node("Mul", ["flat", "row"], ["output0"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([0, -1, 1], np.int64), "to"),
        numpy_helper.from_array(np.float32([[[0, 0, 20, 20, 1, 0]]]), "row"),
    ]
    given = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, "h", "w"])]
    made = [helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", "boxes", 6])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", given, made, constants),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, str(tmp_path / "d.onnx"))
    # Noise tells of no layout here, for its scores are no whole numbers: so the family is said.
    (tmp_path / "d.onnx.yaml").write_text("family: end-to-end\n")
    detector = load_detector(tmp_path / "d.onnx", device="cpu", image_size=160)
    white = [Frame(np.full((h, w, 3), 255, np.uint8), 0, 0.0) for w, h in [(320, 160), (160, 320), (320, 160)]]
    assert [len(some) for some in detector.detect(white)] == [5, 3, 5]
    np.testing.assert_allclose(
        detector.detect(white[:1])[0].xyxy[0], [0, 0, 40, 24], atol=1e-3
    )  # 8 of its rows are border


@pytest.mark.parametrize("fit", ["center", "corner", "stretch"])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_a_picture_is_what_a_loop_over_its_pixels_makes(fit, color, dtype):
    frame = picture(40, 30)
    placement = place(frame.size, fit, fixed=(64, 64), longest=0)
    canvas = np.full((64, 64, 3), 114, np.uint8)
    draw(frame.image, placement, canvas)
    settings = Pictures(fit, color, 0.5, (1.0, 2.0, 3.0), (2.0, 4.0, 5.0))
    (given,) = settings.to_input(canvas[None], np.dtype(dtype))
    inner = {"center": (0, 8, 64, 56), "corner": (0, 0, 64, 48), "stretch": (0, 0, 64, 64)}[fit]
    scaled = cv2.resize(frame.image, (inner[2] - inner[0], inner[3] - inner[1]), interpolation=cv2.INTER_LINEAR)
    for y in range(0, 64, 3):
        for x in range(0, 64, 3):
            inside = inner[0] <= x < inner[2] and inner[1] <= y < inner[3]
            pixel = scaled[y - inner[1], x - inner[0]] if inside else [114, 114, 114]
            pixel = np.float64(pixel)[::-1] if color == "rgb" else np.float64(pixel)
            expected = pixel if dtype == np.uint8 else (pixel * 0.5 - [1, 2, 3]) / [2, 4, 5]
            np.testing.assert_allclose(given[:, y, x], expected, atol=0.02 if dtype == np.float16 else 1e-4)


def test_classes_are_named_by_the_file_its_description_or_coco(tmp_path):
    path = network(tmp_path / "a.onnx", "yolov8", words={"names": "{0: 'cat', 1: 'dog', 2: 'cow'}", "task": "detect"})
    assert load_detector(path, device="cpu").class_names == {0: "cat", 1: "dog", 2: "cow"}
    path = network(tmp_path / "b.onnx", "yolov8")
    assert load_detector(path, device="cpu").class_names == {0: "class0", 1: "class1", 2: "class2"}
    (tmp_path / "b.onnx.yaml").write_text("names: [man, car, bus]\n")
    detector = load_detector(path, device="cpu", classes=["BUS"], score=0.3)
    assert detector.detect([picture()])[0].class_id.tolist() == [2]
    path = network(tmp_path / "c.onnx", "end-to-end")
    assert load_detector(path, device="cpu").class_names == dict(enumerate(COCO_NAMES))
    names = load_detector(network(tmp_path / "d.onnx", "rfdetr"), device="cpu").class_names
    assert (names[1], names[90], names[12], len(names)) == ("person", "toothbrush", "class12", 91)
    with pytest.raises(ConfigError, match=r"class 'bear cub' is not one of c\.onnx's 80: did you mean bear"):
        load_detector(path, device="cpu", classes=["bear cub"])


def test_coco_s_categories_are_those_of_its_annotations():
    known = {1: "person", 11: "fire hydrant", 13: "stop sign", 27: "backpack", 31: "handbag", 44: "bottle"}
    known |= {46: "wine glass", 67: "dining table", 70: "toilet", 72: "tv", 82: "refrigerator", 84: "book"}
    assert len(COCO_BY_CATEGORY) == 80
    assert {number: COCO_BY_CATEGORY[number] for number in known} == known


def test_a_description_says_another_family_and_other_pictures(tmp_path):
    path = network(tmp_path / "d.onnx", "yolox-decoded")
    (tmp_path / "d.onnx.yaml").write_text("family: yolov6\npictures: {color: bgr, scale: 1}\n")
    detector = load_detector(path, device="cpu")
    assert detector.describe()["layout"] == "yolov6"
    assert detector.pictures == Pictures("center", "bgr", 1.0)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ("family: yolo8\n", ConfigError, r"d\.onnx\.yaml: family: .*'yolov8'"),
        ("pictures: {colour: bgr}\n", ConfigError, r"pictures\.colour: unknown key; did you mean 'color'"),
        ("pictures: {std: [1, 1, 0]}\n", ConfigError, r"pictures\.std\.2: .*greater than 0"),
        ("names: [a]\n", WeightsError, "names 1 classes, but tells 3 apart"),
        ("family: rfdetr\n", WeightsError, r"are output0 \[1, 7, 336\], not those of rfdetr: dets, labels"),
        ("family: yolov5\n", WeightsError, "no scores"),
        ("family: yolox\n", WeightsError, "not those of yolox: one"),
    ],
)
def test_a_wrong_description_is_told(tmp_path, words, error, message):
    path = network(tmp_path / "d.onnx", "yolov8")
    (tmp_path / "d.onnx.yaml").write_text(words)
    with pytest.raises(error, match=message):
        load_detector(path, device="cpu")


@pytest.mark.parametrize(
    "outputs",
    [
        {"heads": np.zeros((1, 3, 16, 16, 8), np.float32)},
        {"table": np.zeros((1, 77, 9), np.float32)},
        {"logits": np.zeros((1, 10), np.float32)},
        {"boxes": np.zeros((1, 5, 4), np.float32), "scores": np.zeros((1, 5), np.float32)},
    ],
)
def test_an_unknown_layout_says_what_was_seen_and_what_is_known(tmp_path, outputs):
    path = write(tmp_path / "d.onnx", outputs)
    with pytest.raises(WeightsError) as caught:
        load_detector(path, device="cpu")
    name, table = next(iter(outputs.items()))
    assert f"{name} {list(table.shape)}" in str(caught.value)
    assert "no detector's layout that is known; say its family and how it sees pictures in d.onnx.yaml" in str(
        caught.value
    )
    assert all(family in str(caught.value) for family in layouts.LAYOUTS)


def test_two_boxes_of_one_object_are_one_where_the_network_does_not_merge(tmp_path):
    outputs = yolov8()
    outputs["output0"][0, :, 100] = outputs["output0"][0, :, ROWS[0]]
    outputs["output0"][0, 4 + CLASS[0], 100] = 0.7
    write(tmp_path / "d.onnx", outputs)
    assert len(load_detector(tmp_path / "d.onnx", device="cpu", score=0.3).detect([picture()])[0]) == 3
    assert len(load_detector(tmp_path / "d.onnx", device="cpu", score=0.3, nms_iou=1.0).detect([picture()])[0]) == 4


def test_settings_that_the_file_decides_are_refused(tmp_path):
    path = network(tmp_path / "d.onnx", "yolov8")
    with pytest.raises(ConfigError, match="takes pictures of 128x128 alone, got 640"):
        load_detector(path, device="cpu", image_size=640)
    with pytest.raises(ConfigError, match=r"half: d\.onnx takes float32 numbers"):
        load_detector(path, device="cpu", half=True)
    half = network(tmp_path / "h.onnx", "yolov8", dtype=TensorProto.FLOAT16)
    assert len(load_detector(half, device="cpu", half=True, score=0.3).detect([picture()])[0]) == 3
    with pytest.raises(WeightsError, match="device cuda:0: the ONNX Runtime here runs on the CPU alone"):
        load_detector(path, device="cuda:0")


def test_it_tracks_without_ultralytics(tmp_path):
    from tracker import load_tracker

    detector = load_detector(network(tmp_path / "d.onnx", "rtdetr"), device="cpu", score=0.3)
    tracker = load_tracker("bytetrack")
    for index in range(3):
        frame = Frame(picture().image, index, index / 10)
        tracks = tracker.update(detector.detect([frame])[0], timestamp=frame.timestamp)
    np.testing.assert_allclose(tracks.xyxy, BOXES[:1], atol=0.1)  # the others are too weak to begin with
