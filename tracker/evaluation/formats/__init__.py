"""Boxes with ids in the formats of benchmarks and tools: a file each, over one table; `conversion` knows them all."""
