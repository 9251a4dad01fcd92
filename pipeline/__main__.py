"""Entry point of the program `aminet` and of `python -m pipeline`."""

from __future__ import annotations

import sys
from typing import NoReturn

from pipeline import interrupts

__all__ = ["main"]


def main() -> NoReturn:
    """Install the signal handlers, then import and run the program."""
    interrupts.install()
    from pipeline.cli.app import main as run

    sys.exit(interrupts.finish(run()))


if __name__ == "__main__":
    main()
