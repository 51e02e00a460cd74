"""How objects move between frames."""
