"""Which detection is which track: costs, assignment, stages, the engine."""
