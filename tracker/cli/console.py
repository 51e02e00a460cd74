"""Where the command line prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from typing import Any

from rich.console import Console

# Where there is no terminal, lines are as long as they need to be.
stdout = Console(width=None if sys.stdout.isatty() else 200)
stderr = Console(stderr=True)

LOADING = "loading … (the first run on a machine compiles the tracker, for about a minute)"
"""What there is to say before anything is seen."""


def print_json(value: Any) -> None:
    """One JSON object on stdout, and nothing else there."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
