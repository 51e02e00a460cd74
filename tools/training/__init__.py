"""How what is shipped was made: weights, and the default recipe's settings."""
