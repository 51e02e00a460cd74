"""Formats of boxes with ids, a file each, over one table."""
