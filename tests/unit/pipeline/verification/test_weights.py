"""Weights that are not those of the run are found, whatever their name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import cast

from aminet.model_files import FOLDER
from nodes.enhance import Enhance, EnhanceConfig
from nodes.node import Node, NodeConfig
from pipeline.evidence.record import Work
from pipeline.segments.identity import content_ids
from pipeline.verification.repeat import check_weights


def prepared(weights: Path) -> dict[str, Node[NodeConfig]]:
    node = Enhance(EnhanceConfig(weights=str(weights)))
    node.prepare(lambda place: Path(place).read_bytes())
    return {"enhance": cast("Node[NodeConfig]", node)}


def test_a_file_of_weights_that_changed_is_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.safetensors"
    for suffix in (".safetensors", ".json"):
        shutil.copy(FOLDER / f"aminet-s{suffix}", file.with_suffix(suffix))
    nodes = prepared(file)
    work = Work((), {}, content_ids(nodes), {}, (), 1)
    assert check_weights(nodes, work).state == "ok"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    changed = check_weights(prepared(file), work)
    assert changed.state == "failed"
    assert "are not those of the run" in changed.text
