"""Third-party nodes that cannot be loaded, leave, or raise anything: never exit code 0."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodes.registry import registered_nodes
from pipeline.cli.app import main
from tests.support import ROOT
from tests.support.media import Video, make_video

pytestmark = pytest.mark.filterwarnings("default")

NODE = """
import sys
from pydantic import field_validator
from nodes.node import MapNode, NodeConfig, NodeSpec, Port
from nodes.types import Frame

FRAMES = (Port("frames", Frame),)


class Odd(Exception):
    def __str__(self):
        return self.args[0]()


class Config(NodeConfig):
    a: int = 1
    {config}


class Node(MapNode[Config]):
    spec = NodeSpec("bad.node", "is broken", FRAMES, FRAMES)
    Config = Config
    {body}
"""
RAISING = """@field_validator("a")
    @classmethod
    def check(cls, value): raise RuntimeError
    model_config = NodeConfig.model_config | {"validate_default": True}"""

NOT_LOADED = {
    "import": "import nothing_of_that_name",
    "exit": "import sys; sys.exit(0)",
    "syntax": "def (",
    "empty": "",
    "exception": "raise BaseException('x')",
    "no-node": "class Node: pass",
    "no-spec": NODE.format(config="", body="").replace("    spec =", "    other ="),
    "bad-spec": NODE.format(config="", body="").replace("    spec =", "    spec = 3 #"),
    "config": NODE.format(config=RAISING, body=""),
    "init": NODE.format(config="", body="def __init__(self, config): sys.exit(0)"),
    "prepare": NODE.format(config="", body="def prepare(self, read): sys.exit(0)"),
    "setup": NODE.format(config="", body="def setup(self, threads): sys.exit(0)"),
}
NOT_RUN = {
    "open": "def open(self, segment, inputs): sys.exit(0)",
    "open-nothing": "def open(self, segment, inputs): return None",
    "close": "def close(self): sys.exit(0)",
    "report": "def report(self): sys.exit(0)",
    "bad-report": "def report(self): return {'warnings': 7}",
    "process": "def process(self, inputs): sys.exit(0)",
    "nothing": "def process(self, inputs): return None",
    "wrong": "def process(self, inputs): return {'frames': 3}",
    "interrupt": "def process(self, inputs): raise KeyboardInterrupt",
    "generator": "def process(self, inputs): raise GeneratorExit",
    "memory": "def process(self, inputs): raise MemoryError",
    "stop": "def process(self, inputs): raise StopIteration",
    "recursion": "def process(self, inputs): return self.process(inputs)",
    "no-text": "def process(self, inputs): raise Odd(lambda: 1 / 0)",
    "no-string": "def process(self, inputs): raise Odd(lambda: 3)",
    "lines": "def process(self, inputs): raise ValueError('\\x1b[31m a\\n' * 5)",
    "group": "def process(self, inputs): raise BaseExceptionGroup('g', [SystemExit(0)])",
    "cancelled": "def process(self, inputs): raise __import__('asyncio').CancelledError",
    "system-exit-text": "def process(self, inputs): raise SystemExit('done')",
    "late": "def process(self, inputs): return {'frames': None, 'more': 1}",
    "open-text": "def open(self, segment, inputs): return 'x'",
    "report-text": "def report(self): return 'x'",
}
GRAPH = """
name: broken
nodes:
  decode: {type: aminet.decode}
  bad: {type: bad.node, inputs: {frames: decode.frames}}
  encode: {type: aminet.encode, inputs: {frames: bad.frames}}
"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    registered_nodes.cache_clear()
    yield
    registered_nodes.cache_clear()


def install(
    text: str, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Make `bad.node` a node of that source text; each test's module has a name of its own."""
    module = "bad_" + "".join(c if c.isalnum() else "_" for c in request.node.name)
    about = folder / "bad-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[aminet.nodes]\nbad.node = {module}:Node\n")
    (folder / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)  # pyright: ignore[reportUnknownMemberType]


def enhance(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    (folder / "graph.yaml").write_text(GRAPH)
    config = folder / "run.yaml"
    config.write_text(f"graph: {folder}/graph.yaml\nrun: {{runner: local, threads: 1}}\n")
    source = make_video(folder / "a.mkv", Video(frames=3))
    words = ["aminet", "enhance", str(source), "-o", str(folder / "b.mkv"), "-c", str(config)]
    monkeypatch.setattr("sys.argv", words)
    return main()


@pytest.mark.parametrize("text", NOT_LOADED.values(), ids=NOT_LOADED)
def test_a_node_that_cannot_be_made_is_named_before_the_work(
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install(text, tmp_path, monkeypatch, request)
    assert enhance(tmp_path, monkeypatch) == 2
    said = capsys.readouterr().err
    assert "bad" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "b.mkv").exists()


@pytest.mark.parametrize("body", NOT_RUN.values(), ids=NOT_RUN)
def test_a_node_that_leaves_or_raises_is_a_run_that_failed(
    body: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    passing = "def process(self, inputs): return {'frames': inputs.get('frames', Frame)}\n    "
    install(NODE.format(config="", body=passing + body), tmp_path, monkeypatch, request)
    assert enhance(tmp_path, monkeypatch) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "b.mkv").exists()


def test_a_broken_node_does_not_hide_the_others(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    install("import sys; sys.exit(0)", tmp_path, monkeypatch, request)
    monkeypatch.setattr("sys.argv", ["aminet", "nodes"])
    assert main() == 0
    said = capsys.readouterr().out
    assert "aminet.sheet" in said
    assert "bad.node" in said
    assert "SystemExit" in said


WARNING = r"""
import sys, warnings
import pipeline.__main__ as program
import pipeline.cli.app as app

def run():
    import logging
    handler = logging.StreamHandler()
    handler.setFormatter(app.PrintableFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    warnings.warn("of a\x1b[31m\nname")
    sys.stdout.close()
    return 0

app._run = run
program.main()
"""


def test_what_a_node_warns_of_is_escaped_and_an_end_it_closed_is_let_be() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WARNING], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.count("\n") == 1
    assert r"UserWarning: of a\x1b[31m\nname" in done.stderr
    assert done.returncode == 0
