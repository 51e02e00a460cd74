"""Re-identification: crops in, vectors out.

vectors = load_embedder("default").embed(image, xyxy)  # (N, D) float32, unit length
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from reid.errors import ConfigError, DataError, ReacquireError, WeightsError

if TYPE_CHECKING:
    from reid.embedder import Embedder, load_embedder

__all__ = ["ConfigError", "DataError", "Embedder", "ReacquireError", "WeightsError", "load_embedder"]

_LAZY = {"Embedder": "reid.embedder", "load_embedder": "reid.embedder"}


def __getattr__(name: str) -> Any:
    # torch is imported when it is first needed.
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'reid' has no attribute {name!r}")
