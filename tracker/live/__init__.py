"""Live cameras: read, track, report, record; and a page to watch them (`tracker.live.web`)."""
