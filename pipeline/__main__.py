"""`python -m pipeline` is `aminet`."""

from pipeline.cli import main

main()
