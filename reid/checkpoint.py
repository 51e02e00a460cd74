"""Checkpoints of other projects (`.pth`), read as data only: OSNet in torchreid's naming.

A checkpoint is a pickle, which may name any function to be called. It is looked through first (`reid.pickled`), and one
that asks for a call is refused; what is left is read by torch's reader of plain data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from reid.errors import WeightsError
from reid.models.osnet import OSNet
from reid.pickled import RefusedError, look_through
from reid.runtime import sha256
from reid.weights_file import EmbedderFile, Preprocessing, check_fit, fill

SIZE = (256, 128)
"""Height and width of crops that torchreid trains with, unless told otherwise."""
MOST_WIDTH = 4
"""Of an OSNet: four times the channels of the published one."""
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
"""Keys under which trainers keep the tensors."""

BLOCK = (
    (r"\.conv1\.conv\.", ".reduce.0."),
    (r"\.conv1\.bn\.", ".reduce.1."),
    (r"\.conv2a\.", ".streams.0.0."),
    (r"\.conv2b\.", ".streams.1."),
    (r"\.conv2c\.", ".streams.2."),
    (r"\.conv2d\.", ".streams.3."),
    (r"(streams\.\d\.\d)\.conv1\.", r"\1.0."),
    (r"(streams\.\d\.\d)\.conv2\.", r"\1.1."),
    (r"(streams\.\d\.\d)\.bn\.", r"\1.2."),
    (r"\.gate\.fc1\.", ".gate.down."),
    (r"\.gate\.fc2\.", ".gate.up."),
    (r"\.conv3\.conv\.", ".expand.0."),
    (r"\.conv3\.bn\.", ".expand.1."),
    (r"\.downsample\.conv\.", ".shortcut.0."),
    (r"\.downsample\.bn\.", ".shortcut.1."),
)
"""Within a block, which `conv2.0.` and the like stand before."""
WHOLE = (
    (r"^conv1\.conv\.", "stem.0.0."),
    (r"^conv1\.bn\.", "stem.0.1."),
    (r"^conv([23])\.2\.0\.conv\.", r"stage\1.2.0."),
    (r"^conv([23])\.2\.0\.bn\.", r"stage\1.2.1."),
    (r"^conv([23])\.", r"stage\1."),
    (r"^conv4\.", "stage4.0."),
    (r"^conv5\.conv\.", "stage4.1.0."),
    (r"^conv5\.bn\.", "stage4.1.1."),
)


class TorchreidOSNet(nn.Module):
    """OSNet as torchreid has it: average over the picture, then a linear layer, normalisation and ReLU.

    Args:
        width: multiplier of the channels.
        dimension: of the embedding; None for no such layers.
    """

    def __init__(self, width: float, dimension: int | None) -> None:
        super().__init__()
        self.backbone = OSNet(width)
        self.fc = nn.Sequential()
        if dimension is not None:
            self.fc = nn.Sequential(nn.Linear(self.backbone.channels, dimension), nn.BatchNorm1d(dimension), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` to ``(N, D)`` of unit length."""
        return nn.functional.normalize(self.fc(self.backbone(x).mean((2, 3))))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; wrappers, and prefixes of parallel training, taken off.

    Raises:
        WeightsError: not a checkpoint, damaged, or it asks for code to be run; says which.
    """
    try:
        look_through(path)
    except RefusedError as error:
        raise WeightsError(f"{error}. Ask its author for the state dict alone, or for safetensors") from error
    # The score of the best epoch, as some trainers store it, is a NumPy number: data, and harmless.
    numbers: list[Any] = [
        np.dtype,
        type(np.dtype(np.float64)),
        type(np.dtype(np.float32)),
        (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
        (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    ]
    try:
        with torch.serialization.safe_globals(numbers):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged pickle's operations do to each other
        raise WeightsError(f"{path}: damaged, or not a checkpoint of torch ({_first_line(error)})") from error
    return _unwrapped(path, content)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _unwrapped(path: Path, content: Any) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and {"network", "average", "optimizer"} <= content.keys():
        raise WeightsError(
            f"{path}: a checkpoint of `reacquire reid train`, to go on with; the weights to use are in "
            "weights.safetensors beside it when the training is done"
        )
    for _ in range(2):
        if isinstance(content, Mapping):
            content = next((content[k] for k in WRAPPERS if isinstance(content.get(k), Mapping)), content)
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path}: expected a state dict, got a {type(content).__name__}")
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}
    if not tensors:
        names = sorted(key[:80] for key in content if isinstance(key, str))
        raise WeightsError(f"{path}: expected a state dict, found no tensors among {names[:5]}")
    while all(name.startswith(("module.", "model.")) for name in tensors):
        tensors = {name.split(".", 1)[1]: tensor for name, tensor in tensors.items()}
    return tensors


def our_name(name: str) -> str:
    """A tensor of torchreid's OSNet, by its name in ours."""
    if name.startswith("fc."):
        return name
    if re.match(r"conv[234]\.[01]\.", name):
        for pattern, ours in BLOCK:
            name = re.sub(pattern, ours, name)
    for pattern, ours in WHOLE:
        name, done = re.subn(pattern, ours, name)
        if done:
            return "backbone." + name
    return name


def checkpoint_network(about: EmbedderFile) -> nn.Module:
    """The network of a checkpoint, for inference.

    Raises:
        WeightsError: see `read_checkpoint`.
    """
    return _network(about.path)[1]


def _network(path: Path) -> tuple[float, TorchreidOSNet]:
    tensors = load_tensors(path)
    first = tensors.get("conv1.conv.weight")
    if first is None or first.ndim != 4 or not len(first) or "conv5.conv.weight" not in tensors:
        raise WeightsError(
            f"{path}: expected OSNet in torchreid's naming (conv1.conv.weight, conv2.0.conv1.conv.weight, ..., "
            f"conv5.conv.weight, fc.0.weight), got {', '.join(sorted(tensors)[:4])}, ...; for other networks "
            "export to ONNX with the program that made them"
        )
    width = first.shape[0] / 64
    projection = tensors.get("fc.0.weight")
    dimension = None if projection is None else int(projection.shape[0]) if projection.ndim else 0
    mapped = {our_name(k): v for k, v in tensors.items() if not k.startswith("classifier.")}
    shapes = {name: tuple(tensor.shape) for name, tensor in mapped.items()}
    architecture = f"OSNet x{width:g} in torchreid's naming"
    if width > MOST_WIDTH or dimension == 0 or any(len(shape) and not min(shape) for shape in shapes.values()):
        raise WeightsError(f"{path}: damaged: {architecture} with tensors of sizes that no network has")
    with torch.device("meta"):  # shapes alone: nothing is made before it is known to be in the file
        check_fit(TorchreidOSNet(width, dimension), shapes, f"{path}: ", architecture)
    network = TorchreidOSNet(width, dimension)
    fill(network, mapped, f"{path}: ")
    return width, network.eval()


def read_checkpoint(path: Path, *, size: tuple[int, int] | None = None) -> EmbedderFile:
    """What a checkpoint is.

    Args:
        path: of the file.
        size: height and width of its crops, which it does not say; `SIZE` when None.

    Raises:
        WeightsError: damaged, wants to run code, or not an OSNet; lists what did not fit.
    """
    width, network = _network(path)
    head = network.fc[0] if len(network.fc) else None
    return EmbedderFile(
        path=path,
        sha256=sha256(path),
        backbone="osnet_x" + f"{width:.2f}".replace(".", "_").removesuffix("0"),
        pooling=None,
        dimension=int(head.out_features) if isinstance(head, nn.Linear) else network.backbone.channels,
        preprocessing=Preprocessing(size or SIZE),
        threshold=None,
        kind="checkpoint",
    )
