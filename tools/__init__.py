"""For those who work on the project; not installed. They are run as modules, from the top of the repository."""
