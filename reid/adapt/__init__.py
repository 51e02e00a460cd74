"""Learning the user's cameras from their own tracks, without labels."""
