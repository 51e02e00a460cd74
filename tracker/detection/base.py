"""What detectors share."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from tracker.errors import ConfigError


def class_ids(wanted: Sequence[str] | None, names: Mapping[int, str], weights: str) -> list[int] | None:
    """The ids of class names; None for all.

    Raises:
        ConfigError: an unknown name; says the nearest, or all there are.
    """
    if wanted is None:
        return None
    by_name = {name.lower(): number for number, name in names.items()}
    for name in wanted:
        if name.lower() not in by_name:
            near = difflib.get_close_matches(name.lower(), by_name, n=3)
            known = ", ".join(list(names.values())[:12]) + (", …" if len(names) > 12 else "")
            hint = f"did you mean {' or '.join(near)}?" if near else f"it knows: {known}"
            raise ConfigError(f"class {name!r} is not one of {weights}'s {len(names)}: {hint}")
    return [by_name[name.lower()] for name in wanted]
