"""Which room may import which, and how large a file and a folder may be.

A room is a folder, or a file of its own, of `aminet`, `nodes` or `pipeline`: `WALLS` names them all
and says what each may import, inside functions and for type checkers too. The arrow is pipeline ->
nodes -> aminet. `nodes` itself is the nodes' contract: the files beside the folders that are no
node. The product imports neither its tests nor the developers' tools.
"""

from __future__ import annotations

import tomllib
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

from tests.support import ROOT
from tests.support.imports import imports_of, loaded_by, modules_in

MOST_LINES: Final = 400
MOST_FILES: Final = 15
"""Python files in one folder of the product."""

NODES: Final = frozenset(
    point.partition(":")[0]
    for point in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "entry-points"
    ]["aminet.nodes"].values()
)
"""The rooms of the nodes. One never imports another."""

_BELOW_CONTRACT: Final = {"nodes.errors", "nodes.values"}
"""What the contract rests on, and hands on: who knows it may know these."""
_NODE: Final = "nodes nodes.geometry nodes.picture nodes.media nodes.rows"
_BELOW_CLI: Final = """
    pipeline.errors pipeline.interrupts pipeline.terminal pipeline.url_secrets pipeline.sizing
    pipeline.storage
    pipeline.containers pipeline.pictures pipeline.quality pipeline.graph pipeline.config
    pipeline.run pipeline.segments pipeline.stream pipeline.frames pipeline.job pipeline.evidence
    pipeline.page pipeline.verification pipeline.api"""

WALLS: Final = {
    room: frozenset(may.split()) | (_BELOW_CONTRACT if "nodes" in (room, *may.split()) else set())
    for room, may in {
        "aminet.errors": "",
        "aminet.files": "",
        "aminet.settings": "aminet.errors aminet.files aminet.setting_errors",
        "aminet.setting_errors": "aminet.errors",
        "aminet.device": "aminet.errors",
        "aminet": "aminet.errors aminet.files aminet.settings aminet.setting_errors",
        "aminet.data": "aminet aminet.errors",
        "aminet.judge": "aminet aminet.errors aminet.device aminet.data",
        "aminet.training": """
            aminet aminet.errors aminet.settings aminet.device aminet.data aminet.judge""",
        "nodes.errors": "aminet.errors",
        "nodes.values": "",
        "nodes": "aminet.errors aminet.files aminet.settings nodes.picture",
        "nodes.models": "",
        "nodes.geometry": "nodes nodes.picture",
        "nodes.rows": "",
        "nodes.picture": "nodes.errors nodes.values",
        "nodes.testing": "nodes nodes.geometry nodes.picture",
        "nodes.media": "nodes nodes.picture aminet.errors",
        **dict.fromkeys(NODES, _NODE),
        "nodes.enhance": f"{_NODE} aminet aminet.device",
        "pipeline.errors": "aminet.errors nodes",
        "pipeline.interrupts": "",
        "pipeline.url_secrets": "",
        "pipeline.terminal": "pipeline.url_secrets",
        "pipeline.sizing": "",
        "pipeline.storage": """
            pipeline.errors pipeline.interrupts pipeline.url_secrets aminet.errors aminet.files""",
        "pipeline.pieces": "nodes nodes.media nodes.picture nodes.encode",
        "pipeline.containers": """
            pipeline.errors pipeline.pieces nodes nodes.media nodes.picture nodes.encode""",
        "pipeline.pictures": """
            pipeline.errors pipeline.pieces pipeline.containers nodes nodes.media nodes.picture
            nodes.encode""",
        "pipeline.quality": """
            pipeline.errors nodes nodes.geometry nodes.media nodes.decode nodes.track
            nodes.paste""",
        "pipeline.graph": """
            pipeline.errors pipeline.storage nodes nodes.decode nodes.encode aminet.settings
            aminet.setting_errors
            aminet.errors""",
        "pipeline.config": """
            pipeline.errors pipeline.sizing pipeline.graph aminet.settings aminet.setting_errors""",
        "pipeline.run": """
            pipeline.errors pipeline.interrupts pipeline.graph pipeline.config nodes""",
        "pipeline.cluster": """
            pipeline.errors pipeline.interrupts pipeline.sizing pipeline.graph pipeline.config
            pipeline.run nodes aminet""",
        "pipeline.stream": """
            pipeline.errors pipeline.interrupts pipeline.sizing pipeline.storage pipeline.containers
            pipeline.graph pipeline.config pipeline.run
            nodes nodes.media nodes.decode nodes.encode""",
        "pipeline.frames": """
            pipeline.errors pipeline.sizing pipeline.graph pipeline.config pipeline.run
            nodes nodes.media nodes.picture aminet aminet.device""",
        "pipeline.evidence": """
            pipeline.storage nodes nodes.media nodes.evidence""",
        "pipeline.credentials": """
            pipeline.errors pipeline.evidence pipeline.url_secrets nodes nodes.media""",
        "pipeline.page": """
            pipeline.errors pipeline.storage pipeline.terminal nodes nodes.sheet""",
        "pipeline.segments": """
            pipeline.errors pipeline.url_secrets pipeline.storage pipeline.pieces
            pipeline.containers pipeline.evidence pipeline.graph pipeline.run nodes nodes.media
            nodes.encode""",
        "pipeline.job": """
            pipeline.errors pipeline.interrupts pipeline.sizing pipeline.storage pipeline.pieces
            pipeline.containers pipeline.pictures pipeline.graph pipeline.config pipeline.run
            pipeline.cluster pipeline.segments pipeline.evidence pipeline.credentials pipeline.page
            pipeline.terminal pipeline.url_secrets
            nodes nodes.media nodes.encode aminet.errors aminet.device""",
        "pipeline.verification": """
            aminet.errors pipeline.errors pipeline.storage pipeline.evidence pipeline.graph
            pipeline.config pipeline.run pipeline.segments pipeline.job pipeline.credentials
            nodes nodes.media nodes.picture nodes.decode nodes.evidence nodes.paste""",
        "pipeline.api": """
            pipeline.errors pipeline.graph pipeline.config pipeline.run pipeline.storage
            pipeline.stream pipeline.frames pipeline.job pipeline.verification""",
        "pipeline": "pipeline.api",
        "pipeline.cli": f"""{_BELOW_CLI}
            nodes aminet aminet.errors aminet.judge aminet.training""",
        "pipeline.installed": "",
        "pipeline.__main__": "pipeline.cli pipeline.installed pipeline.interrupts",
    }.items()
}
"""Room -> the other rooms that it may import."""

OWNERS: Final = {
    "ray": ("pipeline.cluster",),
    "torch": ("aminet", "nodes.enhance"),
    "kornia": ("aminet", "nodes.enhance"),
    "mediapipe": ("nodes.track",),
}
"""Library -> the only rooms, with those inside them, that import it."""

PARTS: Final = ("aminet", "nodes", "pipeline")
MODULES: Final = modules_in(ROOT, PARTS)
IMPORTS: Final = {
    module: imports_of(file.read_text(encoding="utf-8"), MODULES)
    for module, file in MODULES.items()
}
DEVELOPERS: Final = modules_in(ROOT, ("tools", "tests"))
FILES: Final = [*MODULES.values(), *DEVELOPERS.values()]
FOLDERS: Final = sorted({file.parent for file in MODULES.values()})


def below(module: str, room: str) -> bool:
    """Return whether a module is a room or lies in it, at whatever depth."""
    return f"{module}.".startswith(f"{room}.")


def room_of(module: str) -> str:
    """Return the innermost room that a module of the product lies in."""
    return max((room for room in WALLS if below(module, room)), key=len)


def crossings(module: str, text: str) -> list[str]:
    """Return a line for each import of a module of the product that crosses a wall."""
    room, found = room_of(module), list[str]()
    for name in sorted({imported.module for imported in imports_of(text, MODULES)}):
        top = name.partition(".")[0]
        if top in OWNERS:
            allowed = any(below(module, owner) for owner in OWNERS[top])
        elif top in PARTS:
            allowed = room_of(name) in WALLS[room] | {room}
        else:
            allowed = top not in ("tools", "tests")
        found.extend([] if allowed else [f"{module} imports {name}"])
    return found


@pytest.mark.parametrize("module", MODULES)
def test_no_import_crosses_a_wall(module: str) -> None:
    assert not crossings(module, MODULES[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("aminet.network", "import nodes.types"),
        ("aminet.data.tracks", "from aminet.training import train"),
        ("nodes.types", "from nodes.media.open import open_media"),
        ("nodes.media.open", "from pipeline.errors import ClusterError"),
        ("nodes.paste", "from nodes.crop import Crop"),
        ("nodes.sheet.page", "from nodes.track.views import View"),
        ("nodes.crop", "import torch"),
        ("nodes.decode.node", "from aminet.network import AmiNet"),
        ("pipeline.storage.locations", "from pipeline.config import RunOptions"),
        ("pipeline.run.local", "def f():\n    from pipeline.job.report import RunReport"),
        ("pipeline.run.task", "if TYPE_CHECKING:\n    from pipeline.job import report"),
        ("pipeline.job.job", "def f():\n    import ray.exceptions"),
        ("pipeline.stream.job", "from pipeline.job.files import JobFiles"),
        ("pipeline.segments.store", "from pipeline.job.report import VideoReport"),
        ("pipeline.graph.graph", "from nodes.track import Track"),
        ("pipeline.cli.app", "from pipeline.cluster.runner import RayRunner"),
        ("pipeline.api", "from tests.support import ROOT"),
        ("pipeline.a_new_room.module", "from pipeline.storage.locations import read"),
    ],
)
def test_a_crossing_is_seen(module: str, text: str) -> None:
    assert len(crossings(module, text)) == 1


@pytest.mark.parametrize("module", DEVELOPERS)
def test_tools_do_not_import_tests(module: str) -> None:
    found = imports_of(DEVELOPERS[module].read_text(encoding="utf-8"), DEVELOPERS)
    assert below(module, "tests") or not any(below(name.module, "tests") for name in found)


def test_no_room_imports_itself_over_others() -> None:
    TopologicalSorter(WALLS).prepare()  # Raises CycleError with the circle.


def test_no_file_imports_itself_over_others() -> None:
    TopologicalSorter(
        {name: {found.module for found in imports} for name, imports in IMPORTS.items()}
    ).prepare()


def test_every_room_is_there_and_every_folder_is_in_one() -> None:
    assert WALLS.keys() <= MODULES.keys()
    folders = {".".join(folder.relative_to(ROOT).parts) for folder in FOLDERS}
    assert folders <= WALLS.keys()


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_module_loads_ray_and_torch_in_their_rooms_only(module: str) -> None:
    loaded = {name.partition(".")[0] for name in loaded_by(module, IMPORTS)}
    for library in OWNERS.keys() & loaded:
        assert any(below(module, owner) for owner in OWNERS[library]), library


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_stay_small_enough_to_read(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_holds_few_enough_files_to_find_one(folder: Path) -> None:
    assert len(list(folder.glob("*.py"))) <= MOST_FILES
