"""The program `aminet`: registers the commands and handles errors."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from aminet.errors import AminetError
from pipeline.cli import enhance, graphs, inspect, network, plan, quality, verify
from pipeline.cli.console import failure, say, say_error
from pipeline.cli.loudness import adjustable
from pipeline.cli.naming import naming_options
from pipeline.cli.wrapping import not_ended_by_others, wrap_commands
from pipeline.errors import EXIT_RUN_FAILED, NodeFailedError, exit_code
from pipeline.interrupts import EXIT_INTERRUPTED, interrupted, interruptible
from pipeline.job.failure import explained
from pipeline.run.malloc import limit_malloc_arenas
from pipeline.terminal import PrintableFormatter

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Restore the faces in video and leave everything else as it was.",
)
for commands in (enhance, plan, verify, inspect, graphs, network, quality):
    commands.register(app)
wrap_commands(app, not_ended_by_others)
wrap_commands(app, naming_options)
wrap_commands(app, adjustable)


def _tell_version(wanted: bool) -> None:
    if wanted:
        say(f"aminet {version('aminet-video')}")
        raise typer.Exit


@app.callback()
@adjustable
def _root(
    tell_version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_tell_version, help="Say which version this is."
        ),
    ] = False,
) -> None:
    del tell_version


def main() -> int:
    """Run the command line; errors are printed in one line and give an exit code.

    In Python's development mode (`python -X dev -m pipeline`) unexpected errors keep their
    tracebacks.
    """
    code = _run()
    lost = failure()
    if lost is not None:
        say_error(f"aminet: standard output cannot be written: {lost.strerror or lost}")
        return code or EXIT_RUN_FAILED
    return code


def _run() -> int:
    handler = logging.StreamHandler()
    handler.setFormatter(PrintableFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    limit_malloc_arenas()
    try:
        with interruptible():
            app()
    except SystemExit as done:
        # Click raises this after success, too.
        return done.code if isinstance(done.code, int) else int(done.code is not None)
    except AminetError as error:
        say_error(f"aminet: {error}")
        _tell_trace(error)
        return exit_code(error)
    except BaseException as error:
        # Libraries may turn an interrupt into another error, such as an ImportError.
        if interrupted():
            return EXIT_INTERRUPTED
        if sys.flags.dev_mode:
            raise
        failed = explained(error, "the program")
        say_error(f"aminet: {failed}")
        _tell_trace(failed)
        return EXIT_RUN_FAILED
    return 0


def _tell_trace(error: AminetError) -> None:
    """Say where an error came from, if the user wants to know."""
    if not logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
        return
    if isinstance(error, NodeFailedError) and error.trace:
        for line in error.trace.splitlines():
            say_error(line)
    else:
        logging.getLogger(__name__).debug("where it came from:", exc_info=error)
