"""What the commands say comes out as it is, and from one place."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline
from pipeline.cli.console import say, say_error

TEXT = "[red]a[/b].mp4: " + "1 " * 200 + "https://x.y/z"


@pytest.mark.parametrize(("speak", "place"), [(say, "out"), (say_error, "err")])
def test_text_is_written_as_it_is(
    capsys: pytest.CaptureFixture[str], speak: Callable[[str], None], place: str
) -> None:
    speak(TEXT)
    said = capsys.readouterr()
    assert getattr(said, place) == TEXT + "\n"
    assert len(said.out) + len(said.err) == len(TEXT) + 1


def test_there_are_no_other_consoles() -> None:
    makers = [
        file.name
        for file in Path(pipeline.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Console"
    ]
    assert set(makers) == {"console.py"}
