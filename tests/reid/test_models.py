"""Architectures: sizes as published, shapes, heads, and where weights come from."""

import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet50

from reid import load_embedder
from reid.errors import ConfigError, WeightsError
from reid.models import BACKBONES, create_model
from reid.models.osnet import AggregationGate
from reid.models.pretrained import load_pretrained
from reid.models.resnet import InstanceBatchNorm
from reid.models.timm_backbone import TimmBackbone
from reid.train import Stage, Trainer
from reid.weights_file import Preprocessing, save_weights


def parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("name", "channels", "published", "rounded"),
    [
        ("osnet_x0_25", 128, 203_568, 0.2e6),
        ("osnet_x0_5", 256, None, 0.6e6),
        ("osnet_x1_0", 512, 2_193_616, 2.2e6),
    ],
)
def test_osnet_has_the_published_number_of_parameters(name, channels, published, rounded):
    """Those that torchreid's tool reports, and its model zoo in millions; it adds the gate, which a block's four
    streams share, once a stream. Its head is a linear layer to 512 and batch normalisation."""
    backbone = create_model(name).backbone
    gates = sum(parameters(m) for m in backbone.modules() if isinstance(m, AggregationGate))
    head = nn.Sequential(nn.Linear(channels, 512), nn.BatchNorm1d(512))
    counted = parameters(backbone) + 3 * gates + parameters(head)
    assert backbone.channels == channels
    assert published in (counted, None)
    assert round(counted / 1e5) == rounded / 1e5


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_backbones_shrink_sixteen_times(name):
    backbone = create_model(name).backbone.eval()
    with torch.no_grad():
        out = backbone(torch.randn(2, 3, 64, 32))
    assert out.shape == (2, backbone.channels, 4, 2)


def test_resnet_is_torchvisions_with_another_last_stride():
    torch.manual_seed(0)
    ours, theirs = create_model("resnet50").backbone.eval(), resnet50(weights=None).eval()
    ours.body.load_state_dict({k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")})
    x = torch.randn(1, 3, 64, 32)
    with torch.no_grad():
        early = theirs.layer1(theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(x)))))
        middle = theirs.layer3(theirs.layer2(early))
        for layer in (theirs.layer4[0].conv2, theirs.layer4[0].downsample[0]):
            layer.stride = (1, 1)
        torch.testing.assert_close(ours(x), theirs.layer4(middle))
    assert parameters(ours) == 23_508_032  # 25.6 M without the classifier of a thousand


def test_ibn_a_normalises_half_by_instance_in_the_first_three_stages():
    body = create_model("resnet50_ibn_a").backbone.body
    found = {name: m for name, m in body.named_modules() if isinstance(m, InstanceBatchNorm)}
    assert len(found) == 3 + 4 + 6
    assert not any(name.startswith("layer4") for name in found)
    assert {"layer1.0.bn1.IN.weight", "layer1.0.bn1.BN.running_mean"} <= body.state_dict().keys()  # published names
    norm = found["layer1.0.bn1"].train()
    x = torch.randn(4, 64, 5, 3)
    out = norm(x)
    torch.testing.assert_close(out[:, :32].mean((2, 3)), torch.zeros(4, 32), atol=1e-5, rtol=0)  # each by itself
    torch.testing.assert_close(out[:, 32:].mean((0, 2, 3)), torch.zeros(32), atol=1e-5, rtol=0)  # all together


def test_pooling_and_neck():
    for pooling in ("average", "gem"):
        network = create_model("slimnet_x0_5", dimension=24, identities=7, pooling=pooling).eval()
        x = torch.randn(3, 3, 64, 32)
        with torch.no_grad():
            raw, normal = network.features(x)
            torch.testing.assert_close(network(x).norm(dim=1), torch.ones(3))
            torch.testing.assert_close(network(x), nn.functional.normalize(network.neck(raw)))
        assert raw.shape == normal.shape == (3, 24)
        assert network.classifier.weight.shape == (7, 24)
        assert not network.neck.bias.requires_grad  # Luo et al.: the neck has no shift


def test_gem_with_power_one_is_the_average_and_with_many_the_maximum():
    x = torch.rand(2, 5, 4, 3) + 0.1
    pool = create_model("slimnet_x0_5", pooling="gem").pool
    for power, expected in ((1.0, x.mean((2, 3))), (200.0, x.amax((2, 3)))):
        pool.power.data.fill_(power)
        torch.testing.assert_close(pool(x.double()).double(), expected.double(), rtol=0.02, atol=0.01)


@pytest.mark.parametrize(
    ("name", "size", "cells"),
    [
        ("resnet18", (64, 32), (2, 1)),
        ("vit_tiny_patch16_224", (64, 32), (8, 1)),
        ("swin_tiny_patch4_window7_224", (224, 224), (7, 7)),
    ],
)
def test_any_backbone_of_timm(name, size, cells):
    """Maps, tokens, and channels that come last."""
    network = create_model(f"timm:{name}", dimension=16).eval()
    with torch.no_grad():
        assert network.backbone(torch.randn(1, 3, *size)).shape == (1, network.backbone.channels, *cells)
        assert network(torch.randn(2, 3, *size)).shape == (2, 16)


def test_what_onnx_cannot_hold_runs_in_torch(tmp_path, monkeypatch, capfd):
    """A vision transformer's positions are interpolated with a filter that ONNX does not have."""
    monkeypatch.setenv("REACQUIRE_CACHE", str(tmp_path / "cache"))
    name = "timm:vit_tiny_patch16_224"
    network = create_model(name, dimension=16).eval()
    weights = tmp_path / "w.safetensors"
    save_weights(weights, network, backbone=name, pooling="gem", preprocessing=Preprocessing((64, 32)), threshold=None)
    embedder = load_embedder(weights, device="cpu")
    assert embedder.describe()["backend"] == "torch"
    image = np.random.default_rng(0).integers(0, 255, (90, 60, 3)).astype(np.uint8)
    assert embedder.embed(image, np.array([[5, 5, 50, 80]], np.float32)).shape == (1, 16)
    with pytest.raises(WeightsError, match="cannot be written as ONNX, it runs in torch alone"):
        load_embedder(weights, device="cpu", backend="onnx")
    assert not capfd.readouterr().out  # torch would write its graph there


def test_a_backbone_that_takes_one_size_alone_is_told_at_once(settings_for, tmp_path):
    with pytest.raises(ConfigError, match="mixer_s32_224 cannot take crops of 64x32"):
        Trainer(
            settings_for(backbone="timm:mixer_s32_224", stages=(Stage(size=(64, 32), epochs=1),)),
            tmp_path,
        )


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'osnet_x1_0'"):
        create_model("osnet_x1")
    with pytest.raises(ConfigError, match=r"there are: osnet_x0_25, .*timm:NAME"):
        create_model("quux")
    with pytest.raises(ConfigError, match="timm has no such model; near it: resnet18"):
        create_model("timm:resnet1")


def test_timm_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"timm:resnet18 needs a package; pip install 'reacquire\[train\]'"):
        create_model("timm:resnet18")


def test_pretrained_weights_are_given_to_the_backbone(monkeypatch):
    given = resnet50(weights=None).state_dict()
    monkeypatch.setattr("reid.models.pretrained._from_torchvision", lambda: given)
    backbone = create_model("resnet50").backbone
    load_pretrained(backbone, "resnet50")
    assert all(torch.equal(value, given[name]) for name, value in backbone.body.state_dict().items())
    ibn = {f"module.{k}": v for k, v in create_model("resnet50_ibn_a").backbone.body.state_dict().items()}
    monkeypatch.setattr("reid.models.pretrained.load_state_dict_from_url", lambda *_, **__: ibn)
    load_pretrained(backbone := create_model("resnet50_ibn_a").backbone, "resnet50_ibn_a")
    assert all(torch.equal(value, ibn[f"module.{name}"]) for name, value in backbone.body.state_dict().items())


def test_pretrained_weights_of_timm(monkeypatch):
    import timm

    given = timm.create_model("resnet18", num_classes=0)
    backbone = TimmBackbone("resnet18")
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, num_classes: given)
    load_pretrained(backbone, "timm:resnet18")
    assert torch.equal(backbone.body.conv1.weight, given.conv1.weight)


def test_without_a_network_it_is_said_how_to_go_on(monkeypatch):
    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr("reid.models.pretrained.load_state_dict_from_url", offline)
    monkeypatch.setattr("reid.models.pretrained._from_timm", offline)
    monkeypatch.setattr("reid.models.pretrained._from_torchvision", offline)
    for name in ("resnet50", "resnet50_ibn_a", "timm:resnet18"):
        with pytest.raises(WeightsError, match=r"cannot be fetched .*no route to host.*leave it out: random weights"):
            load_pretrained(create_model(name).backbone, name)


def test_backbones_without_pretrained_weights_say_so(settings_for, tmp_path):
    with pytest.raises(ConfigError, match="no pretrained weights for slimnet_x0_5; take resnet50"):
        Trainer(settings_for(init="pretrained"), tmp_path)


def test_instance_normalisation_takes_light_and_colour_out_of_half_the_channels():
    torch.manual_seed(0)
    network = create_model("slimnet_ibn")
    mixed = [m for m in network.modules() if isinstance(m, InstanceBatchNorm)]
    assert [m.IN.num_features for m in mixed] == [16, 32, 32, 64, 64]  # none in the last stage
    norm, x = mixed[0].eval(), torch.randn(4, 32, 8, 4)
    bright = x.clone()
    bright[0] = 3 * x[0] + 5
    torch.testing.assert_close(norm(bright)[:, :16], norm(x)[:, :16], atol=1e-3, rtol=1e-3)
    assert (norm(bright)[0, 16:] - norm(x)[0, 16:]).abs().max() > 1
