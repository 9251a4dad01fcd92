"""A signal at any moment: the program ends with 130, says nothing, and finishes its clean-ups.

Each program here sends itself a signal where that used to go wrong.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

WHEN_LOADED = """
import os, signal, sys, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            here()

def stop(number=signal.SIGTERM):
    os.kill(os.getpid(), number)

sys.meta_path.insert(0, Finder())
{here}
"""

IN_EXEC = """
def here():
    exec("stop()")
"""

WHERE_IT_IS_SWALLOWED = """
class Dying:
    def __del__(self):
        stop()
        time.sleep(0.01)

def here():
    Dying()
    time.sleep(60)
    print("not reached")
"""

AS_ANOTHER_ERROR = """
def here():
    try:
        stop()
        time.sleep(60)
    except BaseException:
        raise ImportError("half loaded") from None
"""

AGAIN_IN_A_CLEAN_UP = """
def here():
    try:
        stop()
        time.sleep(60)
    finally:
        stop(signal.SIGINT)
        time.sleep(0.01)
        print("cleaned up", flush=True)
"""

AT_THE_END = """
import atexit

def here():
    stop()

atexit.register(stop)
atexit.register(stop, signal.SIGINT)
"""


def program(folder: Path, here: str, module: str = "pipeline.config") -> tuple[int, str, str]:
    """Run `aminet graph list`, with Python told what to do when it looks for a module."""
    text = WHEN_LOADED.format(module=module, here=here)
    (folder / "sitecustomize.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "graph", "list"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("here", [IN_EXEC, WHERE_IT_IS_SWALLOWED, AS_ANOTHER_ERROR, AT_THE_END])
def test_during_the_work(here: str, tmp_path: Path) -> None:
    assert program(tmp_path, here) == (130, "", "")


@pytest.mark.parametrize("module", ["pipeline.cli.app", "rich.console"])
def test_while_the_program_is_loaded(module: str, tmp_path: Path) -> None:
    assert program(tmp_path, IN_EXEC, module) == (130, "", "")


def test_a_second_signal_leaves_the_clean_up_alone(tmp_path: Path) -> None:
    assert program(tmp_path, AGAIN_IN_A_CLEAN_UP) == (130, "cleaned up\n", "")


def test_a_signal_to_a_program_that_is_done_changes_nothing(tmp_path: Path) -> None:
    code, output, errors = program(tmp_path, AT_THE_END, "nobody.looks.for.this")
    assert (code, errors) == (0, "")
    assert "enhance" in output


HUNG_UP = """
import os, signal
from pipeline.interrupts import finish, install, interruptible
install()
try:
    with interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
        print("goes on")
except KeyboardInterrupt:
    print("interrupted")
raise SystemExit(finish(0))
"""


@pytest.mark.parametrize(
    ("inherited", "code", "output"),
    [("SIG_DFL", 130, "interrupted\n"), ("SIG_IGN", 0, "goes on\n")],  # the second: `nohup`
)
def test_a_terminal_that_is_closed_interrupts_unless_that_is_ignored(
    inherited: str, code: int, output: str
) -> None:
    begin = f"import signal; signal.signal(signal.SIGHUP, signal.{inherited})\n"
    words = [sys.executable, "-c", begin + HUNG_UP]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, output, "")


POSTPONED = """
import os, signal, sys
from pipeline.interrupts import finish, install, interruptible, postponed

def stop():
    os.kill(os.getpid(), signal.SIGTERM)

install()
try:
    with interruptible():
        with postponed():
            stop()
            print("whole")
            with interruptible():
                print("not reached")
        print("not reached")
except KeyboardInterrupt:
    print("interrupted")
sys.exit(finish(0))
"""


def test_what_is_postponed_comes_where_it_may() -> None:
    done = subprocess.run(
        [sys.executable, "-c", POSTPONED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "whole\ninterrupted\n", "")
