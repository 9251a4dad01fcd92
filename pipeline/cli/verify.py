"""`aminet verify`: is a result what its report says, and can it be made again?"""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.console import say
from pipeline.cli.parsers import number
from pipeline.errors import VerificationError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("verify")(verify)


def verify(
    out: Annotated[
        str, typer.Argument(metavar="OUT", help="An output, the folder of several, or a report.")
    ],
    source: Annotated[
        str | None, typer.Option("--source", help="Where the only input is now, if it was moved.")
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            parser=number(int, 0),
            metavar="N",
            help="Check only so many frames, chosen at random, each made again with those before"
            " it in its segment; 0: none.",
        ),
    ] = None,
) -> None:
    """Check all hashes of a result, do its work again, and compare; exit code 5: it differs."""
    from pipeline.api import verify as run
    from pipeline.storage.locations import absolute

    moved = None if source is None else absolute(source)
    verification = run(absolute(out), source=moved, sample=sample)
    for finding in verification.findings:
        say(str(finding))
    if verification.failed:
        raise VerificationError(
            f"{out}: {len(verification.failed)} of {len(verification.findings)} findings speak"
            " against it"
        )
