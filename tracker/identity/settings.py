"""How a memory of identities works, and what a site is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from tracker.config import Settings, load_settings

Name = Annotated[str, Field(min_length=1)]


class MemorySettings(Settings):
    """How long identities are remembered, and when they are reviewed."""

    keep_days: float = Field(30.0, gt=0, le=3650, description="tracklets that ended earlier are let go")
    budget: int = Field(32, ge=2, le=10_000, description="tracklets of one identity that are compared")
    review_tracklets: int = Field(
        32,
        ge=1,
        description="new tracklets after which all are reviewed; more when very many are remembered",
    )
    review_seconds: float = Field(
        600.0, gt=0, description="seconds of the stream after which they are, if there are new ones"
    )
    classes: tuple[int, ...] = Field((0,), description="classes that the embedder knows; others get no identity")


class SiteSettings(Settings):
    """Cameras that may see the same people."""

    cameras: tuple[Name, ...] = Field((), description="names; others may come")
    overlap: tuple[tuple[Name, Name], ...] = Field(
        (), description="pairs of cameras that can show one person at one instant; all others cannot"
    )

    @model_validator(mode="after")
    def _of_two(self) -> SiteSettings:
        for a, b in self.overlap:
            if a == b:
                raise ValueError(f"overlap: {a!r} overlaps itself; name two cameras")
            for name in (a, b):
                if self.cameras and name not in self.cameras:
                    raise ValueError(f"overlap: there is no camera {name!r} among cameras")
        return self


def load_site(path: Path) -> SiteSettings:
    """A site's file.

    Raises:
        ConfigError: names file, key, what was expected and what is there.
    """
    return load_settings(SiteSettings, path)
