"""Packages of other people: found, or said why not, without harm to anybody else's."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from nodes import code_version
from nodes.code_version import code_versions
from nodes.decode import Decode
from nodes.errors import NodeConfigError
from nodes.registry import find_node, registered_nodes
from pipeline.cli.app import main
from tests.support.packages import FADE, installed_package

BROKEN = {
    "missing": ("import no_such_module_xyz", r"ModuleNotFoundError: No module named"),
    "syntax": ("def (", r"SyntaxError"),
    "leaves": ("import sys; sys.exit(3)", r"SystemExit: 3"),
    "no_class": ("x = 1", r"AttributeError"),
    "no_node": ("Fade = dict", r"acme_no_node:Fade is no subclass of nodes\.node\.Node"),
    "abstract": ("from nodes.node import SinkNode as Fade", r"does not define finish, process"),
    "no_spec": (
        "from nodes.node import MapNode\nclass Fade(MapNode):\n    def process(self, inputs): ...",
        r"acme_no_spec:Fade\.spec is no NodeSpec",
    ),
    "no_config": (FADE + "\nFade.Config = dict", r"Fade\.Config is no subclass of NodeConfig"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_package_that_cannot_be_loaded_says_why_and_harms_nobody(
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, why = BROKEN[kind]
    module = f"acme_{kind}"
    with installed_package(tmp_path, module, text, points={"acme.fade": f"{module}:Fade"}):
        with pytest.raises(
            NodeConfigError, match=rf"'acme\.fade' of {module} 1\.0 cannot be.*{why}"
        ):
            find_node("acme.fade")
        assert find_node("aminet.decode") is Decode
        monkeypatch.setattr("sys.argv", ["aminet", "nodes"])
        assert main() == 0
        told = capsys.readouterr().out
        assert "acme.fade: node type 'acme.fade' of" in told
        assert "aminet.decode" in told
    assert "acme.fade" not in registered_nodes()


def test_two_packages_that_claim_one_name_harm_only_graphs_that_use_it(tmp_path: Path) -> None:
    one, two = {"acme.fade": "acme_one:Fade"}, {"acme.fade": "acme_two:Fade"}
    with (
        installed_package(tmp_path / "1", "acme_one", FADE, points=one),
        installed_package(tmp_path / "2", "acme_two", FADE, points=two),
    ):
        registered_nodes.cache_clear()
        with pytest.raises(NodeConfigError, match=r"'acme_one:Fade' and 'acme_two:Fade'"):
            find_node("acme.fade")
        assert find_node("aminet.decode") is Decode


def test_a_node_goes_by_one_name(tmp_path: Path) -> None:
    points = {"acme.other": "acme_named:Fade"}
    with (
        installed_package(tmp_path, "acme_named", FADE, points=points),
        pytest.raises(NodeConfigError, match=r"'acme\.other' calls itself 'acme\.fade'"),
    ):
        find_node("acme.other")


def version_of(module: str, type_name: str = "acme.fade") -> str:
    code_version._of_module.cache_clear()
    sys.modules.pop(module, None)
    importlib.invalidate_caches()
    return code_versions([find_node(type_name)])


def test_released_code_is_known_by_its_version(tmp_path: Path) -> None:
    points = {"acme.fade": "acme_released:Fade"}
    with installed_package(tmp_path, "acme_released", FADE, points=points, version="1.7"):
        assert "acme_released 1.7" in version_of("acme_released").split("; ")


def test_edited_code_is_known_by_its_source(tmp_path: Path) -> None:
    points = {"acme.fade": "acme_edited:Fade"}
    with installed_package(tmp_path, "acme_edited", FADE, points=points, recorded=False) as file:
        before = version_of("acme_edited")
        assert "acme_edited (source " in before
        assert version_of("acme_edited") == before
        file.write_text(FADE.replace("1.0", "2.0"), encoding="utf-8")
        assert version_of("acme_edited") != before


def test_a_module_in_an_edited_package_counts_with_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "acme_pack"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "fade.py").write_text(FADE, encoding="utf-8")
    helper = package / "helper.py"
    helper.write_text("x = 1", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)  # pyright: ignore[reportUnknownMemberType]
    node = importlib.import_module("acme_pack.fade").Fade
    before = code_versions([node])
    helper.write_text("x = 2", encoding="utf-8")
    code_version._of_module.cache_clear()
    assert code_versions([node]) != before
