"""Entry point of the program `aminet` and of `python -m pipeline`."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import NoReturn, TextIO

from pipeline import interrupts
from pipeline.installed import missing_message

__all__ = ["main"]

EXIT_USAGE = 2
"""As in `pipeline.errors`, which cannot be imported without the packages."""


def main() -> NoReturn:
    """Install the signal handlers, then import and run the program."""
    interrupts.install()
    if (missing := missing_message()) is not None:
        sys.stderr.write(f"aminet: {missing}\n")
        sys.exit(EXIT_USAGE)
    from pipeline.cli.app import main as run

    # Through the log, which escapes them: they may tell of files and their metadata.
    logging.captureWarnings(capture=True)
    warnings.formatwarning = _in_a_line
    code = interrupts.finish(run())
    for stream in (sys.stdout, sys.stderr):
        _flush(stream)
    sys.exit(code)


def _in_a_line(message: Warning | str, category: type[Warning], *_: object) -> str:
    return f"{category.__name__}: {message}"


def _flush(stream: TextIO | None) -> None:
    """Flush a stream; if that fails, keep Python from reporting it at its exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except ValueError:  # closed, by a third-party node perhaps
        return


if __name__ == "__main__":
    main()
