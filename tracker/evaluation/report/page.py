"""One HTML file of a template, a style, scripts and data: nothing is fetched, and nothing in the data can run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

SCRIPTS = ("base.js", "table.js", "curves.js", "timeline.js", "gallery.js", "main.js")


def page(document: Mapping[str, Any]) -> str:
    """The page.

    Names in the data come from files that others wrote: they are text everywhere. The scripts only ever set text, the
    policy in the page lets none run but ours, by their hash, and no request leave.
    """
    folder = files("tracker.evaluation.report") / "assets"
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    script = f'"use strict";\n{script}'
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    text = (folder / "page.html").read_text(encoding="utf-8")
    values = {"policy": policy, "style": style, "script": script, "data": _data(document)}
    for name, value in values.items():
        before, after = text.split(f"{{{{{name}}}}}", 1)
        text = before + value + after
    return text


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _data(document: Mapping[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.encode("utf-8", "replace").decode("utf-8")  # names of files need not be Unicode
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028")
