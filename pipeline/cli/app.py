"""The program `aminet`: its commands put together, and what becomes of errors."""

from __future__ import annotations

import logging

import typer

from aminet.errors import AminetError
from pipeline.cli import enhance, inspect, network, plan, quality
from pipeline.cli.console import say_error
from pipeline.errors import exit_code
from pipeline.interrupts import EXIT_INTERRUPTED, interrupted, interruptible
from pipeline.run.malloc import limit_malloc_arenas
from pipeline.terminal import PrintableFormatter

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Restore the faces in video and leave everything else as it was.",
)
for commands in (enhance, plan, inspect, network, quality):
    commands.register(app)


def main() -> int:
    """Run the command line; every expected error becomes one line and an exit code."""
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    limit_malloc_arenas()
    try:
        with interruptible():
            app()
    except SystemExit as done:
        # Click ends so when all is well, too.
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except AminetError as error:
        say_error(f"aminet: {error}")
        return exit_code(error)
    except BaseException:
        # What a library makes of an interrupt, such as an ImportError, is one still.
        if not interrupted():
            raise
        return EXIT_INTERRUPTED
    return 0
