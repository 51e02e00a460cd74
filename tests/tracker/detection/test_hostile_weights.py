"""Weights from strangers: nothing in them runs unless they are trusted, whatever they are called and made of."""

import copy
import io
import os
import pickle
import shutil
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from reid import load_embedder
from tracker import Frame, WeightsError
from tracker.config import load_pipeline_settings
from tracker.detection import load_detector
from tracker.factory import build_detector


class Command:
    """What an attacker would store."""

    def __init__(self, command="touch ran"):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture(autouse=True)
def nothing_ran(tmp_path, monkeypatch):
    """Each test is in a folder of its own, in which code of the weights would leave a file."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def model():
    from ultralytics.nn.tasks import DetectionModel

    torch.manual_seed(0)
    model = DetectionModel("yolov8n.yaml", nc=2, verbose=False)
    model.names = {0: "person", 1: "car"}
    return model.half()


def save(model, path, **more):
    torch.save({"model": model, "train_args": {"imgsz": 64, "task": "detect"}, "epoch": -1, **more}, path)
    return path


@pytest.fixture
def picture():
    return Frame(np.zeros((96, 128, 3), np.uint8), 0, 0.0)


def refused(path, word="refused"):
    """By the detector's loader, with the way out, and by the embedder's, which has none."""
    with pytest.raises(WeightsError, match=word):
        load_detector(path, device="cpu")
    with pytest.raises(WeightsError):
        load_embedder(path, device="cpu")


@pytest.mark.parametrize(
    "name",
    [
        "e.pt",
        "e.PT",
        "e.Pt",
        "e.pth",
        "e.onnx",
        "e.safetensors",
        "e.engine",
        "e.torchscript",
        "e.pb",
        "e.tflite",
        "e.mnn",
        "e.yaml.pt",
        "e.bin",
        "noext",
    ],
)
def test_a_pickle_is_refused_under_any_name(tmp_path, name):
    torch.save({"model": Command()}, tmp_path / name)
    refused(tmp_path / name, "refused: .* would call `posix.system`.* add --trust-weights")


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_any_protocol(tmp_path, protocol):
    """The first two protocols are texts; torch's own format before 1.6 is several pickles in a row."""
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Command(), protocol))
    refused(tmp_path / "bare.pt", "refused|no weights, but text")
    torch.save(
        {"a": torch.zeros(3), "b": Command()}, tmp_path / "old.pt", _use_new_zipfile_serialization=False,
        pickle_protocol=max(protocol, 2),
    )  # fmt: skip
    refused(tmp_path / "old.pt", "refused|damaged")


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "a.YAML", "a.pt", "a.onnx", "a.safetensors", "a_openvino_model"])
@pytest.mark.parametrize("trust", [False, True])
def test_the_description_of_a_network_is_no_weights(tmp_path, name, trust):
    """Ultralytics evaluates the activation in it."""
    (tmp_path / name).write_text("activation: __import__('os').system('touch ran')\nnc: 1\nbackbone: []\nhead: []\n")
    with pytest.raises(WeightsError, match="no weights, but text"):
        load_detector(tmp_path / name, trust=trust)


@pytest.mark.parametrize(
    "name", ["{0}/evil.yaml", "./evil.yaml", "../evil.yaml", "http://127.0.0.1:9/evil.yaml", "x.yaml"]
)
def test_an_architecture_is_one_of_a_list(tmp_path, name):
    (tmp_path / "evil.yaml").write_text("activation: __import__('os').system('touch ran')\n")
    about = {"format": "reacquire-detector/1", "class_names": '{"0": "person"}', "image_size": "320", "score": "0.25"}
    about["architecture"] = name.format(tmp_path)
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "w.safetensors", metadata=about)
    with pytest.raises(WeightsError, match="'architecture' is missing or not understood"):
        load_detector(tmp_path / "w.safetensors")


def test_an_architecture_in_the_present_folder_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "cache"))
    for name in ("yolo11.yaml", "yolo11n.yaml"):
        (tmp_path / name).write_text(
            "activation: __import__('os').system('touch ran')\nnc: 1\nbackbone: []\nhead: []\n"
        )
    assert load_detector("person", device="cpu").class_names == {0: "person"}


@pytest.mark.parametrize(
    ("asked", "neighbour"),
    [
        ("it's.pt", "its.pt"),
        ("m.pt ", "m.pt"),
        ("yolov5n.pt", "yolov5nu.pt"),
        ("yolo11n", "yolo11n.pt"),
        ("M.PT", "m.pt"),
    ],
)
def test_the_file_that_was_looked_at_is_loaded_and_no_other(model, tmp_path, picture, asked, neighbour):
    """Ultralytics takes apostrophes and blanks out of names, and changes some."""
    torch.save({"model": Command()}, tmp_path / neighbour)
    detector = load_detector(save(model, tmp_path / asked), device="cpu", image_size=64)
    assert detector.class_names == {0: "person", 1: "car"}
    assert len(detector.detect([picture])) == 1


@pytest.mark.parametrize("call", ["DetectionModel", "Sequential", "TorchVision"])
def test_layers_are_restored_and_not_constructed(model, tmp_path, call):
    """Their constructors evaluate, and fetch."""
    from ultralytics.nn.modules.block import TorchVision
    from ultralytics.nn.tasks import DetectionModel

    evil = {"activation": "__import__('os').system('touch ran')", "nc": 1, "backbone": [], "head": []}
    arguments = {
        "DetectionModel": (DetectionModel, (evil,)),
        "Sequential": (torch.nn.Sequential, (torch.nn.Identity(),)),
        "TorchVision": (TorchVision, ("resnet18", "DEFAULT")),
    }

    class Call:
        def __reduce__(self):
            return arguments[call]

    save(model, tmp_path / "e.pt", extra=Call())
    refused(tmp_path / "e.pt", f"would call `[a-z.]+{call}`")


def test_what_one_checkpoint_may_name_another_may_not(model, tmp_path):
    """Layers that a detector's checkpoint named must not be open to an embedder's afterwards."""
    from ultralytics.nn.tasks import DetectionModel

    evil = {"activation": "__import__('os').system('touch ran')", "nc": 1, "backbone": [], "head": []}

    class Call:
        def __reduce__(self):
            return DetectionModel, (evil,)

    known = set(torch.serialization.get_safe_globals())
    load_detector(save(model, tmp_path / "good.pt"), device="cpu", image_size=64)
    added = set(torch.serialization.get_safe_globals()) - known
    assert not [entry for entry in added if "ultralytics" in str(entry) or "torch.nn" in str(entry)]
    torch.save({"state_dict": Call()}, tmp_path / "e.pth")
    with pytest.raises(WeightsError, match=r"refused: .* would call `ultralytics\.nn\.tasks\.DetectionModel`"):
        load_embedder(tmp_path / "e.pth")


CHANGES = {
    "layer Upsample would make": lambda m: setattr(m.model[10], "scale_factor", 3000.0),
    "layer Conv2d would make": lambda m: setattr(m.model[0].conv, "padding", (30_000, 30_000)),
    "has a stride of": lambda m: setattr(m, "stride", torch.tensor([1e9])),
    "does not name its classes": lambda m: setattr(m, "names", {0: "x" * 10**6, 1: "y"}),
    "names its classes, or not by|does not name": lambda m: setattr(m, "names", 5),
    "Ultralytics cannot run it": lambda m: setattr(m.model[3], "f", 99),
}


@pytest.mark.parametrize("message", CHANGES)
def test_layers_out_of_all_measure_are_known_before_they_run(model, tmp_path, message):
    changed = copy.deepcopy(model)
    CHANGES[message](changed)
    with pytest.raises(WeightsError, match=message) as caught:
        load_detector(save(changed, tmp_path / "e.pt"), device="cpu")
    assert len(str(caught.value)) < 600


def repacked(path, change, method=zipfile.ZIP_STORED):
    """A checkpoint with some of its files changed."""
    whole = io.BytesIO()
    torch.save({"conv1.conv.weight": torch.zeros(4), "conv5.conv.weight": torch.zeros(1)}, whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", method) as target:
        for name in source.namelist():
            target.writestr(name, change.get(name.partition("/")[2], source.read(name)))
    return path


@pytest.mark.parametrize(
    ("change", "method", "message"),
    [
        ({"data/0": bytes(10**8)}, zipfile.ZIP_DEFLATED, "is compressed, which torch does not do"),
        ({"data/0": bytes(8)}, zipfile.ZIP_STORED, "storage 0 should have 16 bytes, and has not"),
        ({"data.pkl": b"\x80\x02" + b"(" * 5_000_000}, zipfile.ZIP_STORED, "pickle is longer than 4,000,000 bytes"),
        ({"data.pkl": b"\x80\x05\x96" + b"\xff" * 6 + b"\0\0."}, zipfile.ZIP_STORED, "damaged"),
        ({"data.pkl": b"\x80\x02}(" + b")" + b"\x85" * 100_000 + b"K\x01u."}, zipfile.ZIP_STORED, "damaged|expected"),
    ],
)
def test_checkpoints_that_would_fill_the_memory(tmp_path, change, method, message):
    path = repacked(tmp_path / "e.pth", change, method)
    with pytest.raises(WeightsError, match=message):
        load_embedder(path, device="cpu")
    with pytest.raises(WeightsError):
        load_detector(path, device="cpu")


@pytest.mark.parametrize("name", ["s.torchscript", "s.pt", "s.onnx", "s"])
def test_torchscript_is_a_program(tmp_path, name):
    example = torch.zeros(1, 2)
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), example), str(tmp_path / name))
    refused(tmp_path / name, "refused: a TorchScript program.*--trust-weights")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.engine", b"ftrt" + bytes(40)),
        ("e.engine", b"\x02\0\0\0{}" + bytes(40)),
        ("e.tflite", b"\x1c\0\0\0TFL3" + bytes(40)),
        ("e.pb", b"\x0a\x05\x0a\x03abc"),
        ("e.mnn", b"\x18\0\0\0\0\0\x0e\0" + bytes(40)),
        ("e.onnx", b"\x14\0\0\0ORTM" + bytes(40)),
        ("e.rknn", b"RKNN" + bytes(40)),
        ("e.h5", b"\x89HDF\r\n\x1a\n" + bytes(40)),
    ],
)
def test_exports_that_could_bring_code_need_trust(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name)


@pytest.mark.parametrize(
    "name", ["x_saved_model", "x_paddle_model", "x_imx_model", "x_openvino_model", "x.mlpackage", "x"]
)
def test_folders_that_could_bring_code_need_trust(tmp_path, name):
    (tmp_path / name).mkdir()
    for inside in ("saved_model.pb", "model.json", "model.onnx", "custom.so"):
        (tmp_path / name / inside).write_bytes(b"\x08\x07")
    refused(tmp_path / name)


def test_a_file_that_is_two_at_once(tmp_path):
    """A zip is read from its end: one may follow anything. What it is taken for is what reads it."""
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), str(tmp_path / "s"))
    zipped = io.BytesIO()
    torch.save({"model": Command()}, zipped)
    for start in (b"\x08\x07\x12\x00", b"\x02\0\0\0\0\0\0\0{}", b"ftrt", b"\x89PNG", b"nc: 1\n"):
        for name in ("x.torchscript", "x.pt", "x.onnx", "x.safetensors", "x.tflite"):
            for content in ((tmp_path / "s").read_bytes(), zipped.getvalue()):
                (tmp_path / name).write_bytes(start + content)
                refused(tmp_path / name, "refused|damaged|no weights|expected")


def test_two_zips_in_one_file(tmp_path):
    """Of the same layout: zipfile finds the one at the end, torch's reader the first."""

    def text(word):
        return b"\x80\x02X" + len(word).to_bytes(4, "little") + word + b"."

    parts = [repacked(tmp_path / word, {"data.pkl": text(word.encode())}).read_bytes() for word in ("evil", "good")]
    (tmp_path / "e.pth").write_bytes(b"".join(parts))
    assert torch.load(tmp_path / "e.pth", weights_only=True) == "evil"
    with zipfile.ZipFile(tmp_path / "e.pth") as archive:
        assert archive.read("archive/data.pkl") == text(b"good")
    refused(tmp_path / "e.pth", "damaged.*two archives in one")


def test_a_zip_with_two_pickles_of_one_name(model, tmp_path):
    save(model, tmp_path / "good.pt")
    evil = io.BytesIO()
    torch.save({"model": Command()}, evil)
    with zipfile.ZipFile(evil) as source:
        content = source.read(next(name for name in source.namelist() if name.endswith("data.pkl")))
    with zipfile.ZipFile(tmp_path / "good.pt", "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("good/data.pkl", content)
    refused(tmp_path / "good.pt", "two files of one name|expected one data.pkl")


def test_links_go_by_what_they_lead_to(model, tmp_path):
    torch.save({"model": Command()}, tmp_path / "e.pt")
    (tmp_path / "best.onnx").symlink_to(tmp_path / "e.pt")
    refused(tmp_path / "best.onnx", "would call")
    (tmp_path / "nowhere.pt").symlink_to(tmp_path / "gone")
    refused(tmp_path / "nowhere.pt", "no such weights")
    save(model, tmp_path / "blob")
    (tmp_path / "good.pt").symlink_to("blob")
    assert load_detector(tmp_path / "good.pt", device="cpu", image_size=64).class_names[1] == "car"


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.pt")
    for path in (
        tmp_path / "pipe.pt",
        "/dev/zero",
        tmp_path,
        "x\0y.pt",
        "n" * 5000 + ".pt",
        "ul://a/b",
        "http://a/b.pt",
    ):
        with pytest.raises(WeightsError):
            load_detector(path)
        with pytest.raises(WeightsError):
            load_embedder(path)


def test_settings_from_a_file_are_no_trust(tmp_path):
    torch.save({"model": Command()}, tmp_path / "e.PT")
    settings = load_pipeline_settings("default", [f"detector.weights={tmp_path / 'e.PT'}"])
    with pytest.raises(WeightsError, match="--trust-weights"):
        build_detector(settings)


def test_trusted_weights_may_run_code(tmp_path):
    torch.save({"model": Command("touch trusted")}, tmp_path / "e.bin")
    with pytest.raises(WeightsError, match="Ultralytics cannot run it"):  # there is no network in it
        load_detector(tmp_path / "e.bin", trust=True)
    assert (tmp_path / "trusted").exists()


def network(path, *, place=None, domain="", op="Identity", weight=None):
    """Crops in, vectors out, by way of a constant that may be kept in another file."""
    values = np.arange(3, dtype=np.float32) / 4 if weight is None else weight
    constant = helper.make_tensor("c", TensorProto.FLOAT, [len(values), 1, 1], values.tobytes(), raw=True)
    constant.dims[0] = 3
    if place is not None:
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        constant.external_data.add(key="location", value=place)
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3]),
        helper.make_node("Add", ["mean", "c"], ["sum"]),
        helper.make_node(op, ["sum"], ["out"], domain=domain),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 64, 64])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3, 1, 1])],
        [constant],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


PLACES = [
    "../outside.bin",
    "{0}/in/inside.bin",
    "x/../inside.bin",
    "{0}/outside.bin",
    "/dev/zero",
    "in/../../outside.bin",
    "link.bin",
    "",
    "gone.bin",
]


@pytest.mark.parametrize("place", PLACES)
def test_onnx_keeps_nothing_outside_its_folder(tmp_path, place):
    (tmp_path / "in").mkdir()
    for name in ("outside.bin", "in/inside.bin"):
        (tmp_path / name).write_bytes(bytes(12))
    (tmp_path / "in/link.bin").symlink_to(tmp_path / "outside.bin")
    refused(network(tmp_path / "in/e.onnx", place=place.format(tmp_path)), "which is no file in its own folder")


def test_onnx_with_a_file_beside_it(tmp_path):
    (tmp_path / "w.bin").write_bytes((np.arange(3, dtype=np.float32) / 4).tobytes())
    path = network(tmp_path / "e.onnx", place="w.bin")
    shutil.copy(path, tmp_path / "misnamed")
    for name in (path, tmp_path / "misnamed"):
        vectors = load_embedder(name).embed(np.full((64, 64, 3), 128, np.uint8), np.array([[0, 0, 64, 64]]))
        assert vectors.shape == (1, 3)
    (tmp_path / "w.bin").write_bytes(bytes(4))
    with pytest.raises(WeightsError, match=r"not so many numbers|too short"):
        load_embedder(path)


def test_onnx_with_operators_of_a_library(tmp_path):
    refused(network(tmp_path / "e.onnx", domain="evil", op="Run"), r"operator evil\.Run comes from a library")
    refused(network(tmp_path / "c.onnx", domain="com.microsoft", op="EPContext"), "comes from a library")


def test_onnx_with_numbers_that_are_none(tmp_path):
    refused(network(tmp_path / "e.onnx", weight=np.array([0, np.nan, 1], np.float32)), "has NaN among its numbers")
    refused(network(tmp_path / "f.onnx", weight=np.zeros(2, np.float32)), "not so many numbers")
