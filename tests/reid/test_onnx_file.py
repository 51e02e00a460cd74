import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torchvision.ops import roi_align

from reid import WeightsError, load_embedder
from reid.crop_network import write_onnx
from reid.embedder import weights_path
from reid.load import read_about
from reid.onnx_file import cutter, read_onnx, rgb
from reid.runtime import onnx_session
from reid.weights_file import Preprocessing


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)


BOXES = np.array([[10, 5, 40, 90], [60.5, 20.2, 99.9, 119.0], [100, 0, 160, 120]], np.float32)


def foreign(path, batch="n", size=(64, 32), channels=3, dtype=TensorProto.FLOAT):
    """Mean colour of each crop, as a program of somebody else would export it: (N, 3, H, W) to (N, 3, 1, 1)."""
    node = helper.make_node("GlobalAveragePool", ["input.1"], ["out"])
    graph = helper.make_graph(
        [node],
        "mean",
        [helper.make_tensor_value_info("input.1", dtype, [batch, channels, *size])],
        [helper.make_tensor_value_info("out", dtype, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def mean_colours(image, size):
    """What that network sees: crops cut and normalised by torch, RGB."""
    crops = roi_align(torch.tensor(image).permute(2, 0, 1)[None].float(), [torch.tensor(BOXES)], size, aligned=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    values = (crops.mean((2, 3)).flip(1) / 255 - mean) / std
    return torch.nn.functional.normalize(values).numpy()


@pytest.mark.parametrize("batch", ["n", 1, 2, 8])
def test_of_others_with_any_batch(tmp_path, image, batch):
    embedder = load_embedder(foreign(tmp_path / "other.onnx", batch))
    assert (embedder.dimension, embedder.about.threshold) == (3, None)
    np.testing.assert_allclose(embedder.embed(image, BOXES), mean_colours(image, (64, 32)), atol=1e-4)


def test_of_others_in_half_precision(tmp_path, image):
    embedder = load_embedder(foreign(tmp_path / "half.onnx", dtype=TensorProto.FLOAT16))
    np.testing.assert_allclose(embedder.embed(image, BOXES), mean_colours(image, (64, 32)), atol=5e-3)


def test_open_sizes_are_given_or_usual(tmp_path):
    path = foreign(tmp_path / "open.onnx", size=("h", "w"))
    assert read_onnx(path).preprocessing.size == (256, 128)
    assert read_onnx(path, size=(96, 48)).preprocessing.size == (96, 48)


def test_what_is_no_embedder(tmp_path):
    with pytest.raises(
        WeightsError, match=r"expected one input of crops \(N, 3, H, W\).* got input.1 \['n', 1, 64, 32\]"
    ):
        read_onnx(foreign(tmp_path / "grey.onnx", channels=1))
    (tmp_path / "no.onnx").write_bytes(b"no")
    with pytest.raises(WeightsError, match=r"no\.onnx: damaged, or not an ONNX file"):
        read_about(tmp_path / "no.onnx")
    with pytest.raises(WeightsError, match="on the CPU only"):
        load_embedder(foreign(tmp_path / "other.onnx"), backend="torch")


@pytest.mark.parametrize("inputs", ["boxes", "crops"])
def test_ours_there_and_back(tmp_path, image, inputs):
    about = read_about(weights_path("default"))
    write_onnx(about, tmp_path / "ours.onnx", inputs=inputs)
    embedder = load_embedder(tmp_path / "ours.onnx")
    for fact in ("backbone", "dimension", "preprocessing", "threshold"):
        assert getattr(embedder.about, fact) == getattr(about, fact)
    torch_one = load_embedder("default", device="cpu", backend="torch")
    np.testing.assert_allclose(embedder.embed(image, BOXES), torch_one.embed(image, BOXES), atol=1e-4)


def test_the_cutter_is_torchvisions(image):
    preprocessing = Preprocessing((48, 24), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    got = onnx_session(cutter(preprocessing)).run(None, {"planes": rgb(image), "boxes": BOXES})[0]
    crops = roi_align(torch.tensor(image).permute(2, 0, 1)[None].float(), [torch.tensor(BOXES)], (48, 24), aligned=True)
    mean, std = (torch.tensor(v)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    np.testing.assert_allclose(got, ((crops.flip(1) / 255 - mean) / std).numpy(), atol=1e-4)


def test_parity_on_real_crops(data, tmp_path):
    """Torch, the cached network and both exports, dynamic in the batch, on crops of people."""
    from reid.data.sets import images_in

    paths = images_in(data / "reid/market1501/val/query")[:40]
    expected = load_embedder("default", device="cpu", backend="torch").embed_files(paths)
    embedders = [load_embedder("default", device="cpu", backend="onnx")]
    for inputs in ("boxes", "crops"):
        write_onnx(read_about(weights_path("default")), tmp_path / f"{inputs}.onnx", inputs=inputs)
        embedders.append(load_embedder(tmp_path / f"{inputs}.onnx"))
    for embedder in embedders:
        assert np.abs(embedder.embed_files(paths) - expected).max() < 1e-4


def test_two_outputs_are_no_choice(tmp_path):
    """Logits and feature, say: the first is as often the wrong one."""
    model = onnx.load(str(foreign(tmp_path / "one.onnx")))
    model.graph.node.append(helper.make_node("Relu", ["out"], ["feature"]))
    model.graph.output.append(helper.make_tensor_value_info("feature", TensorProto.FLOAT, None))
    onnx.save(model, str(tmp_path / "two.onnx"))
    with pytest.raises(WeightsError, match=r"has 2 outputs \(out .*, feature .*\), and does not say which"):
        load_embedder(tmp_path / "two.onnx")


@pytest.mark.parametrize(("batch", "size"), [(10**6, (64, 32)), ("n", (10_000, 10_000)), ("n", (2**31, 2**31))])
def test_declared_sizes_are_bounded(tmp_path, batch, size):
    with pytest.raises(WeightsError, match=r"expected|too large"):
        load_embedder(foreign(tmp_path / "big.onnx", batch, size))


def test_ours_must_do_what_it_says(tmp_path):
    write_onnx(read_about(weights_path("default")), tmp_path / "ours.onnx", inputs="crops")
    model = onnx.load(str(tmp_path / "ours.onnx"))
    facts = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, facts | {"dimension": "128"})
    onnx.save(model, str(tmp_path / "other.onnx"))
    with pytest.raises(WeightsError, match=r"says that it gives 128 finite numbers a crop.*\(1, 256\)"):
        load_embedder(tmp_path / "other.onnx")
