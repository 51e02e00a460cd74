"""Networks: backbones by name, and the head that makes an embedding of them."""

from reid.models.factory import BACKBONES, EmbeddingNetwork, create_model

__all__ = ["BACKBONES", "EmbeddingNetwork", "create_model"]
