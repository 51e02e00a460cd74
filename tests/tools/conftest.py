import sys

import pytest


@pytest.fixture
def tools(monkeypatch):
    """A tool that reads its arguments sees none."""
    monkeypatch.setattr(sys, "argv", ["tool"])
