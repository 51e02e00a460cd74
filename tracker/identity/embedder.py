"""Which network embeddings are of, and what their distances mean."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from reid.calibration import Calibration, load_calibration
from reid.embedder import weights_path
from reid.runtime import sha256
from tracker.identity.evidence import Distances


class KnownEmbedder(NamedTuple):
    """What has to be known of an embedder to compare its vectors.

    Attributes:
        calibration: what distances mean.
        sha256: hash of the file, so that vectors of two networks are never compared; "" where there is no file.
    """

    calibration: Distances
    sha256: str


def known_embedder(embedder: str | Path | Calibration | None) -> KnownEmbedder:
    """By weights, a calibration's file, a calibration, or nothing.

    Raises:
        WeightsError: missing or damaged.
    """
    if embedder is None:
        return KnownEmbedder(Calibration.unknown(), "")
    if isinstance(embedder, Calibration):
        return KnownEmbedder(embedder, "")
    calibration = load_calibration(embedder)
    return KnownEmbedder(calibration, sha256(weights_path(embedder)))
