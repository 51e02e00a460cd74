"""Every reader of weights and of vectors: a damaged file is refused, or gives finite numbers."""

import json
import struct
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from reid import load_embedder
from reid.checkpoint import TorchreidOSNet
from reid.models import create_model
from reid.vectors import Vectors, read_vectors, write_vectors
from reid.weights_file import Preprocessing, save_weights
from tests.mutations.mutate import byte_mutations, check
from tracker import Frame
from tracker.detection import load_detector
from tracker.detection.ultralytics_export import read_export
from tracker.detection.ultralytics_files import judge
from tracker.detection.weights_file import read_about

IMAGE = np.random.default_rng(0).integers(0, 255, (64, 48, 3)).astype(np.uint8)
BOX = np.array([[4, 4, 40, 60]], np.float32)
ODD = (
    *(None, "", -1, 0, "0", "-1", "999999999999", "1e9", "nan", "[1, 2]", "[0, 0]", "[99999, 99999]", "[1e400, 1]"),
    *("{}", "x", '{"a": "b"}', '{"0": 5}', "[]", "None", "inf", "timm:resnet18", "timm:hf-hub:a/b", "resnet50"),
    *("gem", "max", "a" * 10_000, "yolo11n.yaml", "../x.yaml", "/etc/passwd", "[" * 9000, "9" * 5000, "\ud800"),
)
SHAPES = ([], [1], [0], [10**12], [-1], [2**40, 2**40], [2**62, 4], "x", None)


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def embedding(**settings):
    """Loads an embedder and puts it to use."""

    def read(path):
        embedder = load_embedder(path, device="cpu", **settings)
        vectors = embedder.embed(IMAGE, BOX)
        assert vectors.shape == (1, embedder.dimension)
        return vectors

    return read


def finite(vectors, _):
    assert np.isfinite(vectors).all()


def split(content):
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header, body):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def safetensors_mutations(content, count, seed=0):
    """Damage to what the header says, and to the numbers; bytes by themselves are `byte_mutations`."""
    draw = np.random.default_rng(seed)
    for number in range(count):
        header, body = split(content)
        words = header["__metadata__"]
        tensors = [name for name in header if name != "__metadata__"]
        name = tensors[draw.integers(len(tensors))]
        way = ("word", "word", "word", "gone", "shape", "type", "place", "extra", "numbers", "length")[number % 10]
        if way == "word":
            words[list(words)[draw.integers(len(words))]] = ODD[draw.integers(len(ODD))]
        elif way == "gone":
            place, gone = (words, list(words)[draw.integers(len(words))]) if number % 20 < 10 else (header, name)
            del place[gone]
        elif way == "shape":
            header[name]["shape"] = SHAPES[draw.integers(len(SHAPES))]
        elif way == "type":
            header[name]["dtype"] = ("F64", "I64", "BF16", "U8", "F8_E4M3", "BOOL", "X", "F32")[draw.integers(8)]
        elif way == "place":
            places = ([0, 0], [0, 10**12], [10, 5], [-1, 5], header[name]["data_offsets"][::-1], [2**64, 2**65])
            header[name]["data_offsets"] = places[draw.integers(len(places))]
        elif way == "extra":
            header["x" * int(draw.integers(1, 70_000))] = dict(header[name])
        elif way == "numbers":
            place = int(draw.integers(0, len(body) - 2))
            body = body[:place] + b"\xff\x7e" * 20 + body[place + 40 :]
        else:
            length = (2**63, 0, 10**8, 2**64 - 1, len(content))[draw.integers(5)]
            yield f"{way} {number}", struct.pack("<Q", length) + content[8:]
            continue
        yield f"{way} {number}", joined(header, body)


@pytest.fixture(scope="module")
def embedder_file(tmp_path_factory):
    """A small one of ours, so that hundreds load in seconds."""
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    torch.manual_seed(0)
    settings = {
        "backbone": "slimnet_x0_5",
        "pooling": "gem",
        "preprocessing": Preprocessing((32, 16)),
        "threshold": 0.4,
    }
    save_weights(path, create_model("slimnet_x0_5", dimension=8, identities=2), **settings)
    return path


def test_embedders_in_safetensors(embedder_file, tmp_path):
    content = embedder_file.read_bytes()
    for mutations in (safetensors_mutations(content, 140), byte_mutations(content, 105)):
        _, refused = check(embedding(backend="torch"), tmp_path / "w.safetensors", mutations, finite)
        assert refused > 60


@pytest.fixture(scope="module")
def detector_file(root):
    return root / "tracker/detection/weights/person.safetensors"


def test_detectors_in_safetensors(detector_file, tmp_path):
    """What the file says; and of some, the network that is built of it."""
    from tracker.detection.network import build

    content = detector_file.read_bytes()
    built = 0

    def read(path):
        nonlocal built
        about = read_about(path)
        built += 1
        return about, build(about).state_dict().values() if built <= 5 else ()

    def right(got, _):
        about, tensors = got
        assert 0 <= about.score <= 1
        assert 32 <= about.image_size <= 8192
        assert all(torch.isfinite(tensor).all() for tensor in tensors)

    for mutations in (safetensors_mutations(content, 150), byte_mutations(content, 70)):
        check(read, tmp_path / "d.safetensors", mutations, right)
    assert built > 5


@pytest.fixture(scope="module")
def crops_onnx(tmp_path_factory):
    """A small embedder of somebody else's."""
    weights = np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["crops", "w"], ["c"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Reshape", ["p", "s"], ["vectors"]),
    ]
    constants = [
        helper.make_tensor("w", TensorProto.FLOAT, weights.shape, weights.tobytes(), raw=True),
        helper.make_tensor("s", TensorProto.INT64, [2], [-1, 8]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("crops", TensorProto.FLOAT, ["n", 3, 32, 16])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["n", 8])],
        constants,
    )
    path = tmp_path_factory.mktemp("w") / "e.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def onnx_mutations(content, count, seed=0):
    """Damage to shapes, types, operators and numbers, in a file that still is one of protobuf."""
    draw = np.random.default_rng(seed)
    for number in range(count):
        model = onnx.ModelProto.FromString(content)
        graph = model.graph
        tensor = graph.initializer[draw.integers(len(graph.initializer))]
        node = graph.node[draw.integers(len(graph.node))]
        way = ("dims", "raw", "type", "operator", "input", "attribute", "batch", "opset", "output", "nan")[number % 10]
        if way == "dims":
            tensor.dims[:] = ([], [0], [-1], [2**62, 4], [10**12], [2**31 - 1], [3])[draw.integers(7)]
        elif way == "raw":
            tensor.raw_data = bytes(int(draw.integers(0, 900)))
        elif way == "type":
            tensor.data_type = int(draw.integers(0, 25))
        elif way == "operator":
            node.op_type = ("Nothing", "Loop", "If", "ConstantOfShape", "Expand", "Conv", "Cast", "")[draw.integers(8)]
        elif way == "input":
            node.input[draw.integers(len(node.input))] = ("", "nowhere", node.output[0], "crops")[draw.integers(4)]
        elif way == "attribute":
            node.attribute.append(helper.make_attribute("pads", [2**31] * 4))
        elif way == "batch":
            side = graph.input[0].type.tensor_type.shape.dim[draw.integers(4)]
            side.dim_value = int((0, -5, 1, 7, 2**31, 2**62)[draw.integers(6)])
        elif way == "opset":
            model.opset_import[0].version = int((0, -1, 1, 99, 2**40)[draw.integers(5)])
        elif way == "output":
            graph.output.add().name = ("c", "nowhere", "vectors", "")[draw.integers(4)]
        else:
            tensor.raw_data = b"\xff" * max(len(tensor.raw_data), 4)
        yield f"{way} {number}", model.SerializeToString()


def test_embedders_in_onnx(crops_onnx, tmp_path):
    content = crops_onnx.read_bytes()
    for mutations in (onnx_mutations(content, 200), byte_mutations(content, 350)):
        check(embedding(), tmp_path / "e.onnx", mutations, finite)


def test_exports_of_ours_in_onnx(embedder_file, tmp_path):
    from reid.crop_network import write_onnx
    from reid.load import read_about as about_of

    for inputs in ("crops", "boxes"):
        write_onnx(about_of(embedder_file), tmp_path / "whole", inputs=inputs)
        content = (tmp_path / "whole").read_bytes()
        check(embedding(), tmp_path / "e.onnx", byte_mutations(content, 40), finite)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """A detector's export as Ultralytics writes it, but of one layer."""
    graph = helper.make_graph(
        [
            helper.make_node("AveragePool", ["images"], ["p"], kernel_shape=[8, 8], strides=[8, 8]),
            helper.make_node("Conv", ["p", "w"], ["c"], kernel_shape=[1, 1]),
            helper.make_node("Sigmoid", ["c"], ["s"]),
            helper.make_node("Reshape", ["s", "shape"], ["output0"]),
        ],
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 6, 64])],
        [
            helper.make_tensor("w", TensorProto.FLOAT, [6, 3, 1, 1], np.linspace(-1, 1, 18)),
            helper.make_tensor("shape", TensorProto.INT64, [3], [1, 6, 64]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    facts = {"task": "detect", "stride": "8", "batch": "1", "imgsz": "[64, 64]", "names": "{0: 'person', 1: 'car'}"}
    onnx.helper.set_model_props(model, facts | {"args": "{'dynamic': False}", "channels": "3", "end2end": "False"})
    path = tmp_path_factory.mktemp("w") / "d.onnx"
    onnx.save(model, str(path))
    return path


def facts_mutations(content, count, seed=0):
    draw = np.random.default_rng(seed)
    for number in range(count):
        model = onnx.ModelProto.FromString(content)
        entry = model.metadata_props[draw.integers(len(model.metadata_props))]
        value = ODD[draw.integers(len(ODD) - 1)]
        if number % 5 == 0:
            model.metadata_props.remove(entry)
        elif number % 5 == 1:
            model.metadata_props.add(key=("session", "forward", "model", "names", "task")[draw.integers(5)], value="7")
        else:
            entry.value = "None" if value is None else str(value)
        yield f"fact {number}", model.SerializeToString()


def test_exports_of_ultralytics(export, tmp_path):
    content = export.read_bytes()

    def detects(path):
        found = load_detector(path, device="cpu", score=0.01).detect([Frame(IMAGE, 0, 0.0)] * 3)
        assert len(found) == 3
        for some in found:
            some.validate()

    mutations = [*facts_mutations(content, 120), *onnx_mutations(content, 100), *byte_mutations(content, 180)]
    check(read_export, tmp_path / "d.onnx", iter(mutations))
    check(detects, tmp_path / "d.onnx", iter(mutations[::8]))


@pytest.fixture(scope="module", params=["zip", "before"])
def checkpoint(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "c.pth"
    torch.manual_seed(0)
    state = TorchreidOSNet(0.25, 16).state_dict()
    content = {"state_dict": state, "epoch": 3, "score": np.float64(0.5)}
    torch.save(content, path, _use_new_zipfile_serialization=request.param == "zip")
    return path


def test_checkpoints_of_embedders(checkpoint, tmp_path):
    """Most damage is done to the pickle, which is a small part of the file."""
    content = checkpoint.read_bytes()
    head = content[:40_000]
    mutations = [(what, new + content[40_000:]) for what, new in byte_mutations(head, 160)]
    mutations += byte_mutations(content, 60)
    read = embedding(backend="torch", size=(64, 32))
    _, refused = check(read, tmp_path / "c.pth", iter(mutations), finite)
    assert refused > 150


@pytest.mark.parametrize("size", [(3_200_000, 3, 7, 7), (2**40,), (0,), (-1,), (2**62, 8)])
@pytest.mark.parametrize("stride", [0, 1])
def test_tensors_that_are_not_in_the_file(tmp_path, size, stride):
    """Tensors may declare any size over one number; nothing of that size is made."""
    import resource

    class Tensor:
        def __reduce__(self):
            storage = torch.zeros(4).storage()
            return torch._utils._rebuild_tensor_v2, (storage, 0, size, (stride,) * len(size), False, {})

    torch.save({"conv1.conv.weight": Tensor(), "conv5.conv.weight": torch.zeros(1)}, tmp_path / "c.pth")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    check(load_embedder, tmp_path / "c.pth", iter([("as it is", (tmp_path / "c.pth").read_bytes())]), lambda *_: 1 / 0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_checkpoints_of_ultralytics(tmp_path):
    """The look through, that decides what torch loads; and some to the end."""
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=2, verbose=False)
    model.names = {0: "person", 1: "car"}
    torch.save({"model": model.half(), "train_args": {"imgsz": 64, "task": "detect"}, "epoch": -1}, tmp_path / "m.pt")
    content = (tmp_path / "m.pt").read_bytes()
    head = content[:60_000]
    mutations = [(what, new + content[60_000:]) for what, new in byte_mutations(head, 250)]
    mutations += byte_mutations(content, 40)
    check(lambda path: judge(path, trust=False), tmp_path / "d.pt", iter(mutations))
    some = iter(mutations[::20])
    check(lambda path: load_detector(path, device="cpu", image_size=64), tmp_path / "d.pt", some)


@pytest.mark.parametrize("name", ["v.npz", "v.parquet"])
def test_files_of_vectors(tmp_path, name):
    rows = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    write_vectors(tmp_path / name, Vectors(tuple(f"p{i}/{i}.jpg" for i in range(40)), rows, {"weights": "w"}))

    def right(vectors, _):
        assert vectors.vector.shape == (len(vectors.name), 16)
        assert np.isfinite(vectors.vector).all()

    check(read_vectors, tmp_path / "damaged", byte_mutations((tmp_path / name).read_bytes(), 500), right)


def test_the_cache_heals(embedder_file, tmp_path):
    """Whatever befell the exports in the cache, the same vectors come out; the file is whole again."""
    first = load_embedder(embedder_file, device="cpu", backend="onnx").embed(IMAGE, BOX)
    (export,) = (tmp_path / "cache").glob("embedder-*.onnx")
    for what, content in byte_mutations(export.read_bytes(), 14):
        export.write_bytes(content)
        again = load_embedder(embedder_file, device="cpu", backend="onnx").embed(IMAGE, BOX)
        np.testing.assert_allclose(again, first, atol=1e-6, err_msg=what)
        (export,) = (tmp_path / "cache").glob("embedder-*.onnx")
