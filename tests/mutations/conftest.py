"""Damaged files for every reader: hundreds each, the same ones every time. `make mutations` runs them."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # so that tests can import `mutate`
