"""The figures of every epoch: a CSV file, and TensorBoard if wanted."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from reid.errors import ConfigError
from reid.files import replacing

COLUMNS = (
    "epoch",
    "loss",
    "triplet",
    "contrastive",
    "identity",
    "center",
    "easy",
    "semi_hard",
    "hard",
    "all_easy",
    "all_semi_hard",
    "all_hard",
    "spread",
    "rank1",
    "mAP",
    "seconds",
)

KINDS = ("easy", "semi_hard", "hard")


def spoken(row: dict[str, float], epochs: int) -> str:
    """An epoch's figures as a line to read; all of them are in the file."""
    parts = [f"epoch {row['epoch']:.0f}/{epochs}"]
    parts += [f"{name} {row[name]:.4g}" for name in ("triplet", "contrastive", "identity", "center") if name in row]
    parts.append("triplets " + ", ".join(f"{100 * row[f'all_{k}']:.0f} % {k.replace('_', '-')}" for k in KINDS))
    parts.append(f"spread {row['spread']:.3f}")
    parts += [f"{name} {row[key]:.3f}" for name, key in (("rank-1", "rank1"), ("mAP", "mAP")) if key in row]
    return "  ".join([*parts, f"{row['seconds']:.0f} s"])


class Log:
    """`log.csv` in a folder, a row an epoch, readable after every row.

    Args:
        out: the folder.
        tensorboard: also write events there.

    Raises:
        ConfigError: TensorBoard is wanted and not installed.
    """

    def __init__(self, out: Path, *, tensorboard: bool = False) -> None:
        self.path = out / "log.csv"
        self.rows: list[dict[str, float]] = []
        self._tensorboard = tensorboard
        self._writer: Any = None
        if tensorboard:
            try:
                import tensorboard as _  # noqa: F401
            except ImportError as error:
                raise ConfigError("tensorboard: true needs a package; pip install 'reacquire[train]'") from error

    def start(self, epoch: int) -> None:
        """Begin after an epoch; rows of later ones, from a training that was killed, are dropped."""
        if self.path.exists():
            with self.path.open(newline="") as file:
                read = [{k: float(v) for k, v in row.items() if v and k in COLUMNS} for row in csv.DictReader(file)]
            self.rows = [row for row in read if row.get("epoch", 0) <= epoch]
        with replacing(self.path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(self._written(row) for row in self.rows)
        if self._tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=epoch + 1)

    @staticmethod
    def _written(row: dict[str, float]) -> dict[str, float]:
        return {name: int(value) if name == "epoch" else round(value, 4) for name, value in row.items()}

    def add(self, row: dict[str, float]) -> None:
        """One epoch's figures; its number is among them."""
        self.rows.append(row)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, COLUMNS, restval="").writerow(self._written(row))
        if self._writer is not None:
            for name, value in row.items():
                if name != "epoch":
                    self._writer.add_scalar(name, value, int(row["epoch"]))
            self._writer.flush()

    def close(self) -> None:
        """Finish TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()
