"""Learning on a GPU: half precision, resuming, and the path of several processes; skipped where there is none."""

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from reid.data.augment import Augment, apply
from reid.models import create_model
from reid.train import Stage, Trainer, distributed
from reid.train.learner import Forward

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
DEVICE = "cuda:0"


def first_loss(settings, out):
    """Of a batch that every training here sees, and whether the weights moved."""
    trainer = Trainer(settings, out, device=DEVICE)
    before = trainer.learner.network.project.weight.clone()
    generator = torch.Generator(DEVICE).manual_seed(0)
    crops = torch.rand(12, 3, 64, 32, generator=generator, device=DEVICE)
    labels = torch.arange(12, device=DEVICE) // 3
    trainer.learner.network.train()
    loss = trainer.learner.step(crops, labels)["loss"]
    return loss, not torch.equal(before, trainer.learner.network.project.weight)


@pytest.mark.parametrize(("amp", "tolerance"), [("bf16", 0.05), ("fp16", 0.02)])
@pytest.mark.parametrize("backbone", ["slimnet", "slimnet_ibn", "osnet_x0_25"])
def test_half_precision_has_the_loss_of_full(settings_for, tmp_path, amp, tolerance, backbone):
    whole, _ = first_loss(settings_for(amp="off", backbone=backbone), tmp_path / "off")
    half, moved = first_loss(settings_for(amp=amp, backbone=backbone), tmp_path / amp)
    assert half == pytest.approx(whole, rel=tolerance)
    assert moved or amp == "fp16"  # whose first step may be skipped, to find the scale


@pytest.mark.parametrize("amp", ["off", "bf16", "fp16"])
def test_a_training_goes_on_exactly(settings_for, tmp_path, amp):
    settings = settings_for(amp=amp, query=None, gallery=None, stages=(Stage(size=(32, 16), epochs=3),))
    whole = Trainer(settings, tmp_path / "whole", device=DEVICE).run()
    Trainer(settings, tmp_path / "killed", device=DEVICE).run_epoch()
    resumed = Trainer(settings, tmp_path / "killed", device=DEVICE).run()
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_views_on_the_gpu_are_those_of_the_cpu_but_for_the_noise():
    batch = torch.rand(16, 3, 32, 16)
    options = {"tint": 0.2, "gamma": 0.2, "grey": 0.5, "coarse": 0.5}
    seen = []
    for device in ("cpu", DEVICE):
        views = Augment(**options, generator=torch.Generator().manual_seed(1), device=device).draw(16, (32, 16))
        assert views.noise.device.type == torch.device(device).type
        flat = views._replace(noise=torch.zeros_like(views.noise))
        seen.append(apply(batch.clone().to(device), flat).cpu())
    torch.testing.assert_close(seen[0], seen[1], atol=1e-3, rtol=0)


def test_a_process_group_on_the_gpu_trains_as_one_process(tmp_path):
    """One process under NCCL: the wrapped network, synchronised normalisation and the collectives with gradient."""
    torch.manual_seed(0)
    network = create_model("slimnet_x0_5", dimension=16, identities=4).to(DEVICE)
    crops, gradients, outputs = torch.rand(8, 3, 32, 16, device=DEVICE), [], []
    state = {name: value.clone() for name, value in network.state_dict().items()}
    dist.init_process_group("nccl", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    try:
        for together in (False, True):
            network.load_state_dict(state)
            forward: nn.Module = Forward(network)
            if together:
                forward = DistributedDataParallel(
                    distributed.synchronised(forward), device_ids=[0], broadcast_buffers=False
                )
            raw = forward(crops)[0]
            raw = distributed._Gather.apply(raw) if together else raw
            network.zero_grad()
            raw.square().mean().backward()
            outputs.append(raw.detach())
            gradients.append(network.project.weight.grad.clone())
    finally:
        dist.destroy_process_group()
    torch.testing.assert_close(*outputs, atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(*gradients, atol=2e-3, rtol=2e-2)
