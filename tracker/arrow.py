"""How Arrow reads files."""

from __future__ import annotations

from typing import Any

ON_THIS_THREAD: dict[str, Any] = {"use_threads": False, "pre_buffer": False}
"""For `pyarrow.parquet.read_table` of a Python file. Arrow's own threads may still hold the file when the interpreter
ends, which then aborts or hangs (apache/arrow issues 34314 and 50482)."""
