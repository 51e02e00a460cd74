"""Training in several processes that together do what one would do on the whole batch.

Every process embeds its part of a batch, gathers all embeddings, and computes the same loss of the whole batch, so
that triplets reach across processes. The collectives here are differentiable: summed over the processes' (equal)
losses, their gradients are what averaging the weights' gradients expects. Batch normalisation is synchronised too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from reid.errors import ConfigError


def rank() -> int:
    """This process' number; 0 where there is only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def launched(device: str) -> Iterator[str]:
    """Join the processes that `torchrun` started, if it did; yields the device of this one.

    NCCL on GPUs, one a process; gloo on CPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    on_gpu = device.startswith("cuda")
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


def part(count: int) -> slice:
    """This process' rows of a batch.

    Raises:
        ConfigError: the batch cannot be dealt evenly.
    """
    if count % processes():
        raise ConfigError(f"a batch of {count} images cannot be dealt to {processes()} processes evenly")
    each = count // processes()
    return slice(rank() * each, (rank() + 1) * each)


class _Gather(torch.autograd.Function):
    """Rows of all processes, in their order; the gradient of one's own rows is summed over all losses."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(processes())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        return total[part(len(total))]


class _Sum(torch.autograd.Function):
    """Sum over all processes, of a value and of its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous()
        dist.all_reduce(total)
        return total


def gather(x: Tensor) -> Tensor:
    """``(N, …)`` of every process as ``(N * processes, …)``, with gradient."""
    return _Gather.apply(x) if processes() > 1 else x


def from_first(value: Any) -> Any:
    """What the first process has, in all of them."""
    if processes() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def wait() -> None:
    """Until all processes are here."""
    if processes() > 1:
        dist.barrier()


class SyncedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the batch of all processes, on any device (torch's own knows GPUs alone)."""

    def _check_input_dim(self, x: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1] + [1] * (x.ndim - 2)
        count = x.numel() // x.shape[1] * processes()
        wide = x.float()
        mean = _Sum.apply(wide.sum(axes)) / count
        centred = wide - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        with torch.no_grad():
            momentum = self.momentum or 0.1
            self.running_mean.lerp_(mean, momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        out: Tensor = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(x.dtype)


def synchronised(network: nn.Module) -> nn.Module:
    """The network with its batch normalisations synchronised; its state keeps its names."""
    for name, child in network.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            norm = SyncedBatchNorm(child.num_features, child.eps, child.momentum, child.affine)
            norm.weight, norm.bias = child.weight, child.bias
            norm.running_mean, norm.running_var = child.running_mean, child.running_var
            norm.num_batches_tracked = child.num_batches_tracked
            setattr(network, name, norm)
        else:
            synchronised(child)
    return network
