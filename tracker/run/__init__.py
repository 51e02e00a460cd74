"""One invocation over a source: its folder, its record, its interruption, and what is refined at its end."""
