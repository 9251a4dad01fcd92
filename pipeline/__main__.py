"""`python -m pipeline` is `aminet`."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import NoReturn

from pipeline import interrupts

__all__ = ["main"]


def main() -> NoReturn:
    """Run the program, with the signals taken over before what takes a second to load."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files are bytes: some are no text that a terminal takes.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    interrupts.listen()
    from pipeline.cli.app import main as run

    sys.exit(interrupts.over(run()))


if __name__ == "__main__":
    main()
