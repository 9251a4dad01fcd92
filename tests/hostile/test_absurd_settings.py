"""Settings, files of settings and names that no run can work with: one short line, exit code 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aminet.errors import AminetError
from pipeline.cli.app import main
from pipeline.config import load_graph, merge_settings
from pipeline.errors import ConfigError
from pipeline.errors import exit_code as code_of
from tests.support.media import Video, make_video

MOST_CHARACTERS = 600


def aminet(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["aminet", *map(str, words)])
    return main()


@pytest.mark.parametrize(
    "setting",
    [
        "run.threads=100000",
        "run.threads=" + "9" * 4000,
        "run.threads=" + "9" * 5000,
        "run.threads=1" + ":59" * 2000,
        "run.window_frames=" + "9" * 30,
        "run.segment_s=.inf",
        "run.segment_s=.nan",
        "run.max_latency_s=.inf",
        "run.scratch_bytes=" + "9" * 300,
        "run.workers=" + "9" * 30,
        'run.scratch_dir="a\\0b"',
        'enhance.weights="a\\0b.safetensors"',
        "encode.crf=" + "9" * 4000,
        "encode.crf=.nan",
        "encode.bitrate_bps=" + "9" * 30,
        "encode.pix_fmt=nonsense",
        'encode.pix_fmt="yuv420p\\0"',
        "decode.rate=1e-6",
        "decode.from_s=1e308",
        "decode.from_s=.inf",
        "decode.from_s='" + "9" * 4000 + ":00:00'",
        "track.min_face_px=.inf",
        "encode.crf=" + "[" * 5000 + "]" * 5000,
        "encode.crf=" + "[" * 150 + "]" * 150,
        "encode.crf=" + "x" * 100_000,
    ],
    ids=lambda text: text[:40],
)
def test_a_setting_out_of_all_proportion_is_refused_in_a_line(setting: str) -> None:
    with pytest.raises(AminetError) as caught:
        load_graph(merge_settings(None, [setting]))
    assert code_of(caught.value) == 2
    assert len(str(caught.value)) < MOST_CHARACTERS
    assert len(str(caught.value).splitlines()) == 1


def anchors(levels: int) -> str:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]", *lines])


def merges(levels: int) -> str:
    lines = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, levels)]
    return "\n".join(["a0: &a0 {x: 1, y: 2}", *lines])


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        anchors(7),
        anchors(40),
        merges(12),
        "params: &p {a: *p}",
        "nodes: &p {encode: {options: [*p, *p, *p]}}",
        "params: " + "{a: " * 300 + "1" + "}" * 300,
        "params: " + "[" * 5000,
        "params: {scale: " + "9" * 5000 + "}",
        "params: {scale: " + "x" * 5000 + "}",
        "params: {scale: 2024-13-45}",
        "null: 3\n? [a]\n: b",
        "\x00",
        "params: [" + "1, " * 200_000 + "]",
    ],
    ids=lambda text: text[:24],
)
def test_a_file_of_settings_that_is_made_to_fill_the_memory_is_refused(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        merge_settings(file, ())
    assert len(str(caught.value)) < MOST_CHARACTERS


def test_a_file_of_settings_is_not_read_if_it_is_none(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_bytes(b"a: 1\n" * 1_000_000)
    os.mkfifo(tmp_path / "pipe.yaml")
    for name in ("large.yaml", "pipe.yaml", "/dev/zero", "."):
        with pytest.raises(ConfigError, match="cannot read"):
            merge_settings(tmp_path / name, ())


@pytest.mark.parametrize("settings", ["run.threads=256", "run.segment_s=1e-300"])
def test_the_most_that_is_allowed_runs(
    settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_video(tmp_path / "a.mkv", Video(frames=3))
    words = ("plan", tmp_path / "a.mkv", "-o", tmp_path / "b.mkv")
    assert aminet(monkeypatch, *words, "--set", settings, "--set", "enhance.weights=bicubic") == 0


@pytest.mark.parametrize(
    "name",
    ["", "a\0b.mkv", "n" * 300 + ".mkv", "d/" * 3000 + "a.mkv", "n" * 246 + ".mkv"],
    ids=["empty", "zero byte", "long", "deep", "no room for a lock"],
)
@pytest.mark.parametrize("as_output", [False, True])
def test_a_name_that_no_file_can_have_is_usage(
    name: str,
    as_output: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a.mkv", Video(frames=3))
    words = ("a.mkv", "-o", name) if as_output else (name, "-o", "b.mkv")
    code = aminet(monkeypatch, "enhance", *words, "--set", "enhance.weights=bicubic")
    assert code in ({2} if as_output else {2, 3})
    assert "failed (" not in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_what_is_said_of_a_long_name_is_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert aminet(monkeypatch, "probe", "x" * 100_000) == 3
    assert len(capsys.readouterr().err) < 5000
