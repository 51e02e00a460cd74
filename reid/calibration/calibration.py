"""What a distance of two tracklets is worth as evidence that they are one identity."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reid.calibration.counts import BINS, REGIMES, SIZES, PairCounts, chord
from reid.calibration.quality import Quality
from reid.errors import WeightsError

FORMAT = "reacquire-calibration/1"
LARGEST_RATIO = 50.0
"""No evidence is stronger, in natural logarithms."""
MOST_LETTERS = 1_000_000
"""Of a calibration as text."""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Log-likelihood ratios of tracklets by their distance, with the pairs behind them.

    Plain arrays: it needs no network, and costs an interpolation a pair.

    Attributes:
        value: ``(2, 4, BINS + 1)`` natural logarithms of p(distance | one identity) / p(distance | two), not rising
            with distance: within a camera and across cameras, by `SIZES`, at the `EDGES` of distance.
        known: ``(2,)`` whether there were pairs enough to say anything within a camera, and across cameras.
        counts: the pairs.
        quality: tells good crops from bad ones by what is seen of them; None where that was not learned.
        about: in words: what was measured, on what, with which weights.
    """

    value: NDArray[np.float64]
    known: NDArray[np.bool_]
    counts: PairCounts
    quality: Quality | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def unknown(cls) -> Self:
        """Of an embedder that nobody has measured: every distance is worth nothing, for or against."""
        return cls.fitted(PairCounts.none())

    @classmethod
    def fitted(
        cls, counts: PairCounts, about: Mapping[str, str] | None = None, *, quality: Quality | None = None
    ) -> Self:
        """From pairs of tracklets; what too few of them say stays unknown."""
        from reid.calibration.fit import log_ratios

        value, known = log_ratios(counts)
        return cls(value, known, counts, quality, dict(about or {}))

    def log_likelihood_ratio(
        self, distance: ArrayLike, n_left: ArrayLike, n_right: ArrayLike, *, across: ArrayLike
    ) -> NDArray[np.float64]:
        """Evidence that two tracklets are one identity; all arguments broadcast.

        Args:
            distance: cosine distance of their prototypes (`reid.tracklets`), in 0–2; what is beyond counts as the end.
            n_left: embeddings behind the one prototype, taken apart in time; tracklets of 0 have no evidence.
            n_right: and behind the other. Two numbers that differ count as their harmonic mean, because the variance
                of a mean falls with its number; more than the largest size counts as that.
            across: whether they are of two cameras.

        Returns:
            float64 natural logarithms: positive for one identity, negative for two, 0 where nothing is known.
        """
        left, right = np.asarray(n_left, np.float64), np.asarray(n_right, np.float64)
        with np.errstate(divide="ignore"):
            size = np.log2(np.clip(2 / (1 / np.maximum(left, 0) + 1 / np.maximum(right, 0)), 1, SIZES[-1]))
        empty = np.minimum(left, right) < 1
        place = chord(distance) * (BINS / 2)
        regime = np.asarray(across, bool).astype(np.int64)
        low, below = _between(size, len(SIZES))
        at, share = _between(place, BINS + 1)
        near, far = (
            (1 - share) * self.value[regime, level, at] + share * self.value[regime, level, at + 1]
            for level in (low, low + 1)
        )
        return np.asarray(np.where(empty, 0.0, (1 - below) * near + below * far), np.float64)

    def knows(self, *, across: bool) -> bool:
        """Whether pairs enough were seen, within a camera or across cameras."""
        return bool(self.known[int(across)])

    def pairs(self, *, across: bool, size: int = 1) -> tuple[int, int]:
        """How many pairs of one identity and of two stand behind a table."""
        same, different = self.counts.pairs[int(across), SIZES.index(size)]
        return round(same), round(different)

    def with_pairs(self, counts: PairCounts, *, own: float = 200.0) -> Calibration:
        """Corrected by pairs of the place where it is used; the more of them, the less counts what was known before.

        Args:
            counts: all pairs of that place. To take in more of them later, begin with the same calibration again.
            own: how many of them the pairs that were known before are worth at most, of each kind, in saying where
                distances lie. In saying how sure one may be, all count.
        """
        before, further = (c.count.sum(-1, keepdims=True) for c in (self.counts, counts))
        weight = np.minimum(np.divide(own, before, out=np.ones_like(before), where=before > own), 1.0)
        mixed = self.counts * weight + counts
        total = mixed.count.sum(-1, keepdims=True)
        share = np.divide(before + further, total, out=np.ones_like(total), where=total > 0)
        return Calibration.fitted(mixed * share, self.about, quality=self.quality)

    def renamed(self, **about: str) -> Calibration:
        """With further words about it."""
        return replace(self, about={**self.about, **about})

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        content: dict[str, Any] = {"format": FORMAT, "about": dict(self.about)}
        for regime, name in enumerate(REGIMES):
            content[name] = {"known": bool(self.known[regime])} | {
                str(size): {
                    "log_ratio": np.round(self.value[regime, place], 3).tolist(),
                    "same": _short(self.counts.count[regime, place, 0]),
                    "different": _short(self.counts.count[regime, place, 1]),
                }
                for place, size in enumerate(SIZES)
            }
        if self.quality is not None:
            content["quality"] = self.quality.to_plain()
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, where: str) -> Self:
        """What `to_json` wrote.

        Args:
            text: of it.
            where: names it in errors.

        Raises:
            WeightsError: not of this format, or numbers that no calibration has.
        """
        try:
            return cls(*_read(text))
        except (KeyError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise WeightsError(f"{where}: damaged, or no calibration ({str(error)[:200]})") from error


def _between(place: NDArray[np.float64], length: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of a place among so many, the one below it and the share of the way to the next; NaN stays NaN in the share."""
    inside = np.clip(place, 0, length - 1)
    low = np.minimum(np.nan_to_num(inside).astype(np.int64), length - 2)
    return low, inside - low


def _short(count: NDArray[np.float64]) -> list[float]:
    """Counts as numbers of few letters."""
    return [int(n) if float(n).is_integer() else round(float(n), 3) for n in count]


def _read(
    text: str,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], PairCounts, Quality | None, dict[str, str]]:
    """The parts of a calibration, checked.

    Raises:
        KeyError, ValueError, TypeError: something is missing, or no number that it can be.
    """
    if len(text) > MOST_LETTERS:
        raise ValueError(f"{len(text):,} letters")
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"expected the format {FORMAT!r}")
    about = content["about"]
    if not isinstance(about, dict) or not all(isinstance(word, str) for word in about.values()):
        raise ValueError("`about` has something else than words")
    value, counts = np.zeros((len(REGIMES), len(SIZES), BINS + 1)), PairCounts.none()
    known = np.zeros(len(REGIMES), bool)
    for regime, name in enumerate(REGIMES):
        if content[name]["known"] not in (True, False):
            raise ValueError(f"{name}: `known` is neither true nor false")
        known[regime] = content[name]["known"]
        for place, size in enumerate(SIZES):
            table = content[name][str(size)]
            where = f"{name}, {size} a side"
            value[regime, place] = _numbers(table["log_ratio"], BINS + 1, -LARGEST_RATIO, LARGEST_RATIO, where)
            if (np.diff(value[regime, place]) > 0).any():
                raise ValueError(f"{where}: the evidence rises with distance")
            for kind, kind_name in enumerate(("same", "different")):
                counts.count[regime, place, kind] = _numbers(table[kind_name], BINS, 0, 2**53, where)
    if value[~known].any():
        raise ValueError("evidence where nothing is known")
    quality = Quality.from_plain(content["quality"]) if "quality" in content else None
    return value, known, counts, quality, about


def _numbers(values: Any, length: int, least: float, most: float, where: str) -> NDArray[np.float64]:
    if not isinstance(values, list) or len(values) != length:
        raise ValueError(f"{where}: expected {length} numbers")
    if not all(isinstance(v, int | float) and least <= v <= most for v in values):
        raise ValueError(f"{where}: a number outside {least:g} to {most:g}")
    return np.array(values, np.float64)
