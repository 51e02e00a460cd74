import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reid import DataError, WeightsError, load_embedder
from reid.embedder import Embedder
from reid.load import read_about
from reid.models import create_model
from reid.weights_file import Preprocessing, read_metadata, save_weights, with_threshold


@pytest.fixture(scope="module")
def shipped(root):
    return root / "reid/weights/default.safetensors"


@pytest.fixture(scope="module")
def embedder():
    return load_embedder("default", device="cpu")


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)


BOXES = np.array([[10, 5, 40, 90], [60.5, 20.2, 99.9, 119.0], [100, 0, 160, 120]], np.float32)


def test_unit_vectors_one_a_box(embedder, image):
    vectors = embedder.embed(image, BOXES)
    assert vectors.shape == (3, embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_boxes(embedder, image):
    assert embedder.embed(image, np.empty((0, 4))).shape == (0, embedder.dimension)
    assert [v.shape[0] for v in embedder.embed_batch([image] * 3, [BOXES, np.empty((0, 4)), BOXES[:1]])] == [3, 0, 1]
    assert embedder.embed_batch([], []) == []


def test_a_batch_equals_one_by_one(embedder, image):
    other = image[::-1].copy()
    together = embedder.embed_batch([image, other], [BOXES, BOXES[:2]])
    np.testing.assert_allclose(together[0], embedder.embed(image, BOXES), atol=1e-5)
    np.testing.assert_allclose(together[1], embedder.embed(other, BOXES[:2]), atol=1e-5)


def test_torch_and_onnx_agree(embedder, image):
    torch_one = load_embedder("default", device="cpu", backend="torch")
    assert {embedder.describe()["backend"], torch_one.describe()["backend"]} == {"onnxruntime", "torch"}
    np.testing.assert_allclose(torch_one.embed(image, BOXES), embedder.embed(image, BOXES), atol=1e-4)


@pytest.mark.parametrize("name", ["shipped", "osnet_x0_25"])
def test_half_precision_is_close(shipped, tmp_path, name):
    """As on a GPU, and far from the picture's corner, where half precision has no whole pixels any more."""
    from reid.crop_network import TorchRunner

    path = shipped
    if name != "shipped":
        tiny(tmp_path / "w.safetensors")
        path = tmp_path / "w.safetensors"
    image = np.random.default_rng(0).integers(0, 255, (60, 4000, 3)).astype(np.uint8)
    boxes = np.array([[5, 5, 25, 55], [3001, 5, 3020, 50], [3971.3, 2, 3990, 58]], np.float32)
    full, half = (TorchRunner(read_about(path), "cpu", half=half)([image], [boxes]) for half in (False, True))
    np.testing.assert_allclose(np.linalg.norm(half, axis=1), 1, atol=1e-5)
    assert (full * half).sum(1).min() > 0.999


def test_boxes_partly_outside_and_without_area_are_defined(embedder, image):
    odd = np.array([[-50, -50, 30, 60], [150, 100, 400, 300], [20, 20, 20, 20], [500, 500, 600, 600]], np.float32)
    vectors = embedder.embed(image, odd)
    assert np.isfinite(vectors).all()
    inside = embedder.embed(image, np.clip(odd[:2], 0, [160, 120, 160, 120]))
    np.testing.assert_allclose(vectors[:2], inside, atol=1e-5)


def test_where_the_other_boxes_are_does_not_matter(embedder, image):
    np.testing.assert_allclose(embedder.embed(image, BOXES)[1], embedder.embed(image, BOXES[1:2])[0], atol=1e-4)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [(np.ones((2, 3)), r"\(N, 4\), got \(2, 3\)"), ([[0, 0, np.nan, 4]], "box 0 has NaN")],
)
def test_boxes_that_are_none(embedder, image, boxes, message):
    with pytest.raises(DataError, match=message):
        embedder.embed(image, np.asarray(boxes))


def test_grey_pictures_are_refused(embedder):
    with pytest.raises(DataError, match=r"\(H, W, 3\) uint8"):
        embedder.embed(np.zeros((10, 10), np.uint8), BOXES)


def tiny(path, **changes):
    torch.manual_seed(0)
    network = create_model("osnet_x0_25", dimension=16, identities=3)
    save_weights(
        path,
        network,
        backbone=changes.get("backbone", "osnet_x0_25"),
        pooling="gem",
        preprocessing=Preprocessing((64, 32)),
        threshold=0.4,
    )
    return network


def test_weights_there_and_back(tmp_path, image):
    network = tiny(tmp_path / "w.safetensors")
    weights = read_about(tmp_path / "w.safetensors")
    assert weights.threshold == 0.4
    assert weights.preprocessing.size == (64, 32)
    assert not any("classifier" in name for name in load_file(tmp_path / "w.safetensors"))
    embedder = Embedder(weights, backend="torch")
    assert embedder.embed(image, BOXES).shape == (3, 16)
    assert network.neck.num_features == embedder.dimension


def test_wrong_architecture_says_what_differs(tmp_path):
    tiny(tmp_path / "w.safetensors", backbone="osnet_x0_5")
    with pytest.raises(WeightsError, match=r"tensors do not fit osnet_x0_5; .*: expected \(.*\), got \("):
        load_embedder(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distance": "euclidean"}, "expected distance 'cosine', got 'euclidean'"),
        ({"colour": "bgr"}, "expected colour 'rgb', got 'bgr'"),
        ({"size": "[64]"}, r"'size' is missing or not understood: '\[64\]'"),
        ({"dimension": None}, "'dimension' is missing or not understood: None"),
        ({"threshold": "low"}, "'threshold' is missing or not understood: 'low'"),
    ],
)
def test_facts_that_are_missing_or_wrong_are_named(tmp_path, change, message):
    tiny(tmp_path / "w.safetensors")
    facts = {k: v for k, v in (read_metadata(tmp_path / "w.safetensors") | change).items() if v is not None}
    save_file(load_file(tmp_path / "w.safetensors"), tmp_path / "w.safetensors", metadata=facts)
    with pytest.raises(WeightsError, match=message):
        load_embedder(tmp_path / "w.safetensors")


def test_a_threshold_measured_later(tmp_path):
    tiny(tmp_path / "w.safetensors")
    before = load_file(tmp_path / "w.safetensors")
    with_threshold(tmp_path / "w.safetensors", 0.37)
    assert read_about(tmp_path / "w.safetensors").threshold == 0.37
    after = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_truncated_and_foreign_files(tmp_path, shipped):
    (tmp_path / "cut.safetensors").write_bytes(shipped.read_bytes()[:50_000])
    with pytest.raises(WeightsError, match=r"cut\.safetensors: damaged.* expected \d,\d+,\d+ bytes, got 50,000"):
        load_embedder(tmp_path / "cut.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(shipped.read_bytes()[:500])
    with pytest.raises(WeightsError, match=r"expected [\d,]+ bytes, got 500"):
        load_embedder(tmp_path / "cut.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="expected weights of format 'reacquire-embedder/1', got None"):
        load_embedder(tmp_path / "x.safetensors")


def test_missing_file_names_the_bundled_one(tmp_path):
    with pytest.raises(WeightsError, match="no such weights; `default` is the name"):
        load_embedder(tmp_path / "none.safetensors")


def test_unwritable_cache_falls_back_to_torch(monkeypatch, tmp_path, image):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "file" / "cache"))
    embedder = load_embedder("default", device="cpu")
    assert embedder.describe()["backend"] == "torch"
    assert len(embedder.embed(image, BOXES)) == 3


def test_a_damaged_export_in_the_cache_is_made_anew(monkeypatch, tmp_path, image):
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path))
    first = load_embedder("default", device="cpu").embed(image, BOXES)
    (cached,) = tmp_path.glob("*.onnx")
    cached.write_bytes(cached.read_bytes()[:9000])
    again = load_embedder("default", device="cpu")
    assert again.describe()["backend"] == "onnxruntime"
    np.testing.assert_allclose(again.embed(image, BOXES), first, atol=1e-6)


def test_one_bit_in_the_cache_is_seen(monkeypatch, tmp_path, image):
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path))
    first = load_embedder("default", device="cpu").embed(image, BOXES)
    (cached,) = tmp_path.glob("*.onnx")
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 64
    cached.write_bytes(content)
    np.testing.assert_allclose(load_embedder("default", device="cpu").embed(image, BOXES), first, atol=1e-6)
    assert [path.name for path in tmp_path.glob("*.onnx")] == [cached.name]


@pytest.mark.parametrize("backend", ["torch", "onnx"])
def test_vectors_that_are_not_finite_are_an_error(tmp_path, monkeypatch, image, backend):
    """Weights that are numbers, but too large to reckon with."""
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "w.safetensors"
    tiny(path)
    tensors = load_file(path)
    tensors["neck.bias"] = torch.full((16,), 3e38)
    tensors["project.weight"] = torch.full_like(tensors["project.weight"].float(), 3e38)
    save_file(tensors, path, metadata=read_metadata(path))
    with pytest.raises(WeightsError, match=r"gives vectors that are (not finite|0), for 3 of 3 crops; the weights are"):
        load_embedder(path, device="cpu", backend=backend).embed(image, BOXES)


def test_weights_that_are_no_numbers(tmp_path):
    path = tmp_path / "w.safetensors"
    tiny(path)
    tensors = load_file(path)
    tensors["neck.weight"][3] = float("nan")
    save_file(tensors, path, metadata=read_metadata(path))
    with pytest.raises(WeightsError, match=r"damaged: neck\.weight has NaN or infinity"):
        load_embedder(path, device="cpu", backend="torch")


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("dimension", "999999999999"), ("dimension", "0"), ("size", "[99999, 99999]"), ("size", "[8000, 8000]"),
        ("size", "[1e400, 3]"), ("size", "[" * 5000), ("threshold", "nan"), ("threshold", "3"), ("pooling", "max"),
        ("std", "[0, 1, 1]"), ("mean", "[NaN, 0, 0]"),
    ],
)  # fmt: skip
def test_facts_out_of_all_measure_are_named(tmp_path, fact, value):
    path = tmp_path / "w.safetensors"
    tiny(path)
    save_file(load_file(path), path, metadata=read_metadata(path) | {fact: value})
    with pytest.raises(WeightsError, match=f"'{fact}' is missing or not understood"):
        load_embedder(path)


@pytest.mark.parametrize("dimension", [65_536, 17])
def test_a_dimension_is_compared_before_anything_of_it_is_made(tmp_path, dimension):
    path = tmp_path / "w.safetensors"
    tiny(path)
    save_file(load_file(path), path, metadata=read_metadata(path) | {"dimension": str(dimension)})
    with pytest.raises(WeightsError, match=rf"neck\.bias: expected \({dimension},\), got \(16,\)"):
        load_embedder(path, device="cpu")


@pytest.mark.parametrize("backbone", ["timm:hf-hub:evil/model", "timm:local-dir:.", "../x", "osnet_x9"])
def test_a_backbone_is_a_name_that_is_known(tmp_path, backbone):
    pytest.importorskip("timm")
    path = tmp_path / "w.safetensors"
    tiny(path, backbone=backbone)
    with pytest.raises(WeightsError, match="backbone"):
        load_embedder(path, device="cpu")


def test_what_a_file_is_its_content_decides(shipped, tmp_path, image):
    for name in ("w.onnx", "w.pth", "W.SAFETENSORS", "w"):
        (tmp_path / name).write_bytes(shipped.read_bytes())
        assert load_embedder(tmp_path / name, device="cpu").embed(image, BOXES).shape == (3, 256)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(WeightsError, match=f"device {device}"):
        load_embedder("default", device=device)


def test_shipped_file_is_small(shipped):
    assert shipped.stat().st_size < 6_000_000
