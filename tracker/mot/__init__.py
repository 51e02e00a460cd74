"""Whole data sets of the MOTChallenge kind: track them, keep what was seen, replay, tune, hand in."""
