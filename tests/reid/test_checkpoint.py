"""Checkpoints of torchreid's OSNet, against a network of that naming written here from the paper's figures."""

import os
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from reid import WeightsError, load_embedder
from reid.checkpoint import checkpoint_network, load_tensors, read_checkpoint
from reid.load import read_about


def named(**parts):
    module = nn.Module()
    for name, part in parts.items():
        module.add_module(name, part)
    return module


def conv(i, o, k=1, stride=1):
    return named(conv=nn.Conv2d(i, o, k, stride, k // 2, bias=False), bn=nn.BatchNorm2d(o))


def light(c):
    return named(
        conv1=nn.Conv2d(c, c, 1, bias=False), conv2=nn.Conv2d(c, c, 3, 1, 1, groups=c, bias=False), bn=nn.BatchNorm2d(c)
    )


def block(i, o):
    c = o // 4
    parts = {"conv1": conv(i, c), "conv2a": light(c), "conv3": conv(c, o)}
    parts |= {
        f"conv2{letter}": nn.ModuleList(light(c) for _ in range(n)) for letter, n in (("b", 2), ("c", 3), ("d", 4))
    }
    parts["gate"] = named(fc1=nn.Conv2d(c, max(c // 16, 1), 1), fc2=nn.Conv2d(max(c // 16, 1), c, 1))
    if i != o:
        parts["downsample"] = conv(i, o)
    return named(**parts)


def network(channels=(16, 64, 96, 128), features=32, people=5):
    a, b, c, d = channels

    def stage(i, o):
        return nn.ModuleList([block(i, o), block(o, o), nn.ModuleList([conv(o, o)])])

    return named(
        conv1=conv(3, a, 7, 2),
        conv2=stage(a, b),
        conv3=stage(b, c),
        conv4=nn.ModuleList([block(c, d), block(d, d)]),
        conv5=conv(d, d),
        fc=nn.Sequential(nn.Linear(d, features), nn.BatchNorm1d(features)),
        classifier=nn.Linear(features, people),
    )


def run_conv(m, x, relu=True):
    x = m.bn(m.conv(x))
    return functional.relu(x) if relu else x


def run_light(m, x):
    return functional.relu(m.bn(m.conv2(m.conv1(x))))


def run_block(m, x):
    inner = run_conv(m.conv1, x)
    total = 0
    for stream in ([m.conv2a], m.conv2b, m.conv2c, m.conv2d):
        y = inner
        for layer in stream:
            y = run_light(layer, y)
        gate = functional.adaptive_avg_pool2d(y, 1)
        total = total + y * torch.sigmoid(m.gate.fc2(functional.relu(m.gate.fc1(gate))))
    short = run_conv(m.downsample, x, relu=False) if hasattr(m, "downsample") else x
    return functional.relu(run_conv(m.conv3, total, relu=False) + short)


@torch.no_grad()
def forward(m, x):
    x = functional.max_pool2d(run_conv(m.conv1, x), 3, 2, 1)
    for stage in (m.conv2, m.conv3):
        x = run_conv(stage[2][0], run_block(stage[1], run_block(stage[0], x)))
        x = functional.avg_pool2d(x, 2, 2)
    x = run_conv(m.conv5, run_block(m.conv4[1], run_block(m.conv4[0], x)))
    return functional.relu(m.fc(x.mean((2, 3))))


@pytest.fixture(scope="module")
def foreign():
    """A network whose running means and slopes are no longer those of the beginning, and crops."""
    torch.manual_seed(0)
    model = network()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def saved(path, model, prefix="", **more):
    state = OrderedDict((prefix + k, v) for k, v in model.state_dict().items())
    torch.save({"state_dict": state, "epoch": 7, **more}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_equal_outputs(foreign, tmp_path, prefix):
    # torchreid stores its best score as a NumPy number.
    path = saved(tmp_path / "osnet.pth", foreign, prefix, rank1=np.float64(0.5), optimizer={"lr": 0.1})
    about = read_about(path)
    assert (about.backbone, about.dimension, about.kind) == ("osnet_x0_25", 32, "checkpoint")
    assert (about.preprocessing.size, about.threshold) == ((256, 128), None)
    x = torch.randn(3, 3, 128, 64)
    with torch.no_grad():
        got = checkpoint_network(about)(x)
    torch.testing.assert_close(got, functional.normalize(forward(foreign, x)), atol=1e-6, rtol=1e-5)


def test_bare_state_dict_without_projection(foreign, tmp_path):
    path = tmp_path / "bare.pth"
    torch.save({k: v for k, v in foreign.state_dict().items() if not k.startswith(("fc.", "classifier."))}, path)
    assert read_checkpoint(path, size=(128, 64)).dimension == 128
    assert read_checkpoint(path, size=(128, 64)).preprocessing.size == (128, 64)


def test_it_embeds_in_torch_and_in_onnx_runtime(foreign, tmp_path, monkeypatch):
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path))
    path = saved(tmp_path / "osnet.pth", foreign)
    image = np.random.default_rng(0).integers(0, 255, (150, 90, 3)).astype(np.uint8)
    boxes = np.array([[0, 0, 90, 150], [10, 10, 60, 120]], np.float32)
    vectors = [
        load_embedder(path, device="cpu", backend=b, size=(64, 32)).embed(image, boxes) for b in ("torch", "onnx")
    ]
    np.testing.assert_allclose(*vectors, atol=1e-4)


def test_what_does_not_fit_is_listed(foreign, tmp_path):
    state = foreign.state_dict()
    del state["conv3.0.conv2b.1.conv2.weight"]
    state["conv2.0.gate.fc1.bias"] = torch.zeros(9)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(WeightsError) as error:
        read_checkpoint(tmp_path / "odd.pth")
    text = str(error.value)
    assert "2 tensors do not fit OSNet x0.25 in torchreid's naming" in text
    assert "stage3.0.streams.1.1.1.weight: expected (24, 1, 3, 3), got None" in text
    assert "stage2.0.gate.down.bias: expected (1,), got (9,)" in text


def test_other_networks_are_refused(tmp_path):
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match=r"expected OSNet in torchreid's naming .* got layer1\.0\.conv1\.weight"):
        read_checkpoint(tmp_path / "resnet.pth")
    torch.save({"network": {}, "average": {}, "optimizer": {}}, tmp_path / "last.pt")
    with pytest.raises(WeightsError, match=r"weights\.safetensors beside it"):
        read_checkpoint(tmp_path / "last.pt")
    for content, message in (([1, 2], "got a list"), ({"epoch": 3}, r"found no tensors among \['epoch'\]")):
        torch.save(content, tmp_path / "x.pth")
        with pytest.raises(WeightsError, match=message):
            load_tensors(tmp_path / "x.pth")


class Command:
    """What an attacker would store."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def test_a_pickle_that_wants_to_run_code_is_refused_by_name(tmp_path):
    ran = tmp_path / "ran"
    torch.save({"state_dict": Command(f"touch {ran}")}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match=r"evil\.pth: refused: .* would call `\w+\.system`"):
        load_embedder(tmp_path / "evil.pth")
    assert not ran.exists()


def test_a_whole_model_is_code_too(foreign, tmp_path):
    torch.save(foreign, tmp_path / "model.pth")
    with pytest.raises(WeightsError, match=r"model\.pth: refused: .* would call `torch\.nn\.modules\.module\.Module`"):
        read_checkpoint(tmp_path / "model.pth")


def test_damaged_files(foreign, tmp_path):
    path = saved(tmp_path / "osnet.pth", foreign)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(WeightsError, match=r"osnet\.pth: damaged"):
        read_checkpoint(path)
    path.write_bytes(b"no checkpoint at all")
    with pytest.raises(WeightsError, match=r"osnet\.pth: damaged"):
        read_checkpoint(path)
