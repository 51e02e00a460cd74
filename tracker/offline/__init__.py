"""After the fact, when all tracks of a video are known."""
