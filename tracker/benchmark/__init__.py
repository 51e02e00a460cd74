"""MOTChallenge-style data sets: layout, cache of what networks saw, replay, runs, tuning and submission."""
