"""`python -m pipeline` is `slugline`."""

from pipeline.cli import main

main()
