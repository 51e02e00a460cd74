"""Weights to begin with, instead of random ones."""

from __future__ import annotations

from reid.errors import WeightsError
from reid.models import EmbeddingNetwork
from reid.train.settings import TrainSettings


def initialise(network: EmbeddingNetwork, settings: TrainSettings) -> None:
    """Give a network the weights that `init` names; the classifier stays new.

    Args:
        network: just made.
        settings: `init` is a weights file of ours (or `default`, the bundled one) of the same backbone, pooling and
            dimension; a checkpoint of torchreid's OSNet, whose backbone is taken; or "pretrained" for the backbone's
            weights from its library's hub.

    Raises:
        WeightsError: missing, damaged, of another network, or the hub cannot be reached.
    """
    assert settings.init is not None
    if settings.init == "pretrained":
        from reid.models.pretrained import load_pretrained

        load_pretrained(network.backbone, settings.backbone)
        return
    from reid.embedder import weights_path
    from reid.load import read_about, read_network

    about = read_about(weights_path(settings.init))
    backbone_alone = about.kind == "checkpoint"  # another project's; its head is not ours
    for name in ("backbone",) if backbone_alone else ("backbone", "pooling", "dimension"):
        wanted, got = getattr(settings, name), getattr(about, name)
        if wanted != got:
            raise WeightsError(f"{settings.init}: init of another network: {name} is {got}, the settings say {wanted}")
    kept = "backbone." if backbone_alone else ""
    given = {name: value for name, value in read_network(about).state_dict().items() if name.startswith(kept)}
    network.load_state_dict(network.state_dict() | given)
