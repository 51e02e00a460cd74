"""`python -m tracker.cli`: the command line without its script."""

from tracker.cli import main

main()
