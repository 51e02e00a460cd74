"""Pictures of the documentation, and the demo clip."""
