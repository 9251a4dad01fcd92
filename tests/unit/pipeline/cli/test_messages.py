"""What the program says to somebody who has just met it."""

from __future__ import annotations

from pathlib import Path

import pytest

from aminet.errors import AminetError
from aminet.model_files import load_network
from nodes.encode.encoder_table import libav_encoder
from nodes.errors import MediaError, NodeConfigError
from nodes.media.open import open_media
from nodes.registry import find_node
from pipeline.cli.app import main
from pipeline.config import load_config, load_graph
from pipeline.containers.formats import check_target
from pipeline.errors import ConfigError
from pipeline.graph.files import graph_file
from pipeline.stream.job import check_streams
from tests.support.media import Video, make_video
from tests.support.ports import free_ports
from tests.support.video_nodes import decode


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("encode.cdoec=x264", "cdoec: unknown key: did you mean 'codec'?"),
        ("run.thraeds=2", "run.thraeds: unknown key: did you mean 'threads'?"),
        ("crops.faces=all", "has no node 'crops': did you mean 'crop'?"),
        ("run.threads=many", "run.threads: expected a whole number (got 'many')"),
        ("run.threads=0", "run.threads: expected at least 1 (got 0)"),
        ("encode.crf=fine", "crf: expected a number (got 'fine')"),
        ("decode.deinterlace=7", "deinterlace: expected true or false (got 7)"),
        ("run.runner=spark", "run.runner: expected 'auto', 'local' or 'ray' (got 'spark')"),
        ("encode.options=3", "options: expected a mapping (got 3)"),
    ],
)
def test_a_wrong_setting_is_told_in_plain_words(setting: str, said: str) -> None:
    with pytest.raises(AminetError) as error:
        load_graph(load_config(settings=[setting]))
    assert said in str(error.value)


@pytest.mark.parametrize("option", ["--scale", "--label"])
def test_an_option_of_enhance_is_one_of_any_graph_that_has_it(
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = str(make_video(tmp_path / "v.mp4", Video(frames=1)))
    value = ["2"] if option == "--scale" else []
    for graph, code in (("compare", 0), ("redact", 2)):
        words = ["run", graph, source, "-o", str(tmp_path / "o.mkv"), "--dry-run", option, *value]
        monkeypatch.setattr("sys.argv", ["aminet", *words])
        assert main() == code
    assert f"{option}: the graph 'redact' has no such parameter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ["crop.faces=bigest"],
            "faces: expected 'all' or 'largest', or a whole number (got 'bigest')",
        ),
        (
            ["decode.from_s=5", "decode.to_s=2"],
            "to_s: expected a time after the start, which is at 5 s (got 2)",
        ),
    ],
)
def test_values_of_several_kinds_are_explained_once(settings: list[str], said: str) -> None:
    with pytest.raises(AminetError) as error:
        load_graph(load_config(settings=settings))
    assert str(error.value).endswith(said)


def test_mistyped_names_get_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(AminetError, match=r"weights called 'amniet': did you mean 'aminet'\?"):
        load_network("amniet")
    with pytest.raises(AminetError, match=r"did you mean 'x264'\?"):
        libav_encoder("x246")
    with pytest.raises(ConfigError, match=r"no graph 'enhnce': did you mean 'enhance'\?"):
        graph_file("enhnce")
    for name in ("blur", "Blur", "blurr", "aminet.blr", "AMINET.BLUR"):
        with pytest.raises(NodeConfigError, match=r"did you mean 'aminet.blur'\?"):
            find_node(name)
    source = str(make_video(tmp_path / "v.mp4", Video(frames=1)))
    (problem,) = check_target(source, Path("out.mk"), "h264")
    assert problem.message.startswith(".mk is no format written here: did you mean '.mkv'")
    for suffix, meant in ((".jgp", ".jpg"), (".pgn", ".png"), (".webpp", ".webp")):
        (problem,) = check_target(source, Path(f"out{suffix}"), "h264")
        assert f"did you mean '{meant}'" in problem.message
    (problem,) = check_target(source, Path("out.tif"), "h264")
    assert "or for pictures .jpg, .jpeg, .png" in problem.message


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
def test_a_camera_that_cannot_be_reached_is_no_damaged_file(scheme: str) -> None:
    with pytest.raises(MediaError, match=r"cannot be reached .*; check the address") as error:
        open_media(f"{scheme}://127.0.0.1:{free_ports(1)[0]}/camera")
    assert "damaged" not in str(error.value)


@pytest.mark.parametrize("output", ["-", "out"])
@pytest.mark.parametrize("inputs", [["rtsp://a/1", "rtsp://a/2"], ["a.mp4", "-"]])
def test_streams_are_taken_alone(inputs: list[str], output: str) -> None:
    with pytest.raises(ConfigError, match="there are 2 inputs"):
        check_streams(inputs, output)


def test_one_stream_or_many_files_are_no_mistake() -> None:
    check_streams(["rtsp://a/1"], "-")
    check_streams(["a.mp4", "b.mp4"], "out")


def test_several_files_into_a_pipe_are_refused() -> None:
    with pytest.raises(ConfigError, match="-o - writes one video"):
        check_streams(["a.mp4", "b.mp4"], "-")


def test_an_end_behind_the_end_counts_no_more_frames(tmp_path: Path) -> None:
    info, _, _ = decode(make_video(tmp_path / "v.mp4", Video(frames=10)), to_s=30)
    assert info.duration_s == pytest.approx(0.4)
