"""`python -m pipeline` is `aminet`."""

from __future__ import annotations

import sys
from typing import NoReturn

from pipeline import interrupts

__all__ = ["main"]


def main() -> NoReturn:
    """Run the program, with the signals taken over before what takes a second to load."""
    interrupts.install()
    from pipeline.cli.app import main as run

    sys.exit(interrupts.finish(run()))


if __name__ == "__main__":
    main()
