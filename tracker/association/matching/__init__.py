"""Which track takes which detection: candidates, costs, assignment."""
