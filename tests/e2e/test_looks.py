"""A generative network is called so wherever its faces are shown."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
import torch

import pipeline
from aminet.model_files import save_weights
from aminet.network import AMINet, AMINetConfig
from nodes.sheet.page import read_page
from pipeline.job.report import GENERATIVE_NOTE, VideoReport
from tests.support import SAMPLES

pytestmark = pytest.mark.filterwarnings("default")


def restored(folder: Path, *, generative: bool) -> tuple[VideoReport, str]:
    """Return the report of a short run with random weights, and its page."""
    torch.manual_seed(0)
    network = AMINet(AMINetConfig(width=8, depths=(1, 0, 0, 1), heads=(1, 1, 1, 1), stem_factor=4))
    file = folder / "mine.safetensors"
    save_weights(network, file, protocol="camera", generative=generative)
    source, output = SAMPLES / "portrait.mp4", folder / "out.mp4"
    settings = [f"enhance.weights={file}"]
    run = pipeline.enhance(source, output, runner="local", to_s=0.2, settings=settings)
    written = json.loads(Path(run.path).read_text())["videos"][0]
    assert written["generative_faces"] == run.videos[0].generative_faces
    return run.videos[0], Path(str(run.page)).read_text(encoding="utf-8")


@pytest.mark.parametrize("generative", [True, False])
def test_report_page_sheets_and_comment_follow_the_card(tmp_path: Path, generative: bool) -> None:
    video, page = restored(tmp_path, generative=generative)
    assert video.faces
    assert video.generative_faces == (video.faces if generative else 0)
    assert (GENERATIVE_NOTE in video.notes) is generative
    assert ("Generative:" in page) is generative
    sheet = read_page(Path(str(video.sheet)))
    assert [pair.generative for pair in sheet] == [generative]
    with av.open(str(video.output)) as container:
        assert ("generative" in container.metadata["comment"]) is generative
