"""What a user says of an ONNX file that does not say it itself: `best.onnx.yaml` beside `best.onnx`.

family: yolox
names: [person, car]
pictures: {fit: corner, color: bgr, scale: 1.0}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tracker.config import Settings, load_settings
from tracker.detection.onnx.pictures import Color, Fit, Pictures

Family = Literal[
    "yolov8", "yolov5", "yolov6", "yolox", "yolox-decoded", "end-to-end", "rtdetr", "rtdetr-ultralytics",
    "rtdetr-transformers", "rfdetr", "nanodet", "plain",
]  # fmt: skip
Three = tuple[float, float, float]


class PicturesDescription(Settings):
    """What the network was trained to see; what is left out is the family's."""

    fit: Fit | None = Field(None, description="how a picture comes to the network's size")
    color: Color | None = Field(None, description="order of the channels")
    scale: Annotated[float, Field(gt=0)] | None = Field(None, description="what pixels of 0-255 are multiplied by")
    mean: Three | None = Field(None, description="subtracted of each channel after that")
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] | None = (
        Field(None, description="each channel is divided by in the end")
    )

    def over(self, pictures: Pictures) -> Pictures:
        """A family's, where nothing else is said."""
        said = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        plain = {name: getattr(pictures, name) for name in Pictures.__slots__}
        return Pictures(**plain | said)


class Description(Settings):
    """Of an ONNX file."""

    family: Family | None = Field(None, description="layout of the outputs; told by names and shapes when absent")
    names: Annotated[tuple[str, ...], Field(min_length=1, max_length=10_000)] | None = Field(
        None, description="of the classes, from class 0"
    )
    pictures: PicturesDescription = PicturesDescription()


def description_of(path: Path) -> Description:
    """The description beside a file; an empty one where there is none.

    Raises:
        ConfigError: it is not understood; says file, key, expected and got.
    """
    beside = path.with_name(path.name + ".yaml")
    return load_settings(Description, beside) if beside.is_file() else Description()
