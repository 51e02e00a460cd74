import sys

import pytest


@pytest.fixture
def tools(root, monkeypatch):
    """The tools can be imported."""
    monkeypatch.syspath_prepend(str(root / "tools"))
    monkeypatch.setattr(sys, "argv", ["tool"])
