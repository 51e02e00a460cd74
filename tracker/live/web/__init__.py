"""A page to watch the cameras, a JSON API, health and metrics: served by one thread beside the tracking."""
