"""`aminet plan` and `aminet enhance --dry-run`: one thing under two names."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nodes.errors import MediaError
from pipeline.cli import enhance as cli_enhance
from pipeline.cli import plan as cli_plan
from pipeline.cli.app import app, main
from pipeline.errors import ConfigError, GraphError, OutputError, RunFailedError, exit_code
from tests.support.changing import Part, make_changing
from tests.support.media import Video, make_video

BICUBIC = ("--set", "enhance.weights=bicubic")


def told(*words: str) -> str:
    result = CliRunner().invoke(app, [*words, *BICUBIC], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_plan_tells_segments_placement_and_that_nothing_is_done(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=90, gop_frames=10))
    words = (str(source), "-o", str(tmp_path / "out.mkv"), "--set", "run.segment_s=0.7")
    more = ("--runner", "ray", "--set", "run.threads=8")
    assert told("plan", *words, *more).splitlines() == [
        f"{source} -> {tmp_path}/out.mkv: 90 frames in 5 segments",
        "  segments of 10 to 20 frames, cut at keyframes",
        "  copied wherever no picture changes from keyframe to keyframe",
        "5 segments to do, ray runner (asked for)",
        "  this machine: segment workers 4 x 1 thread, enhancers 1 x 4 threads",
        "how long that takes is not known before segments of it are finished",
    ]
    assert told("enhance", *words, *more, "--dry-run") == told("plan", *words, *more)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_a_part_of_a_video_is_planned_as_it_would_be_done(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=30))
    words = (str(source), "-o", str(tmp_path / "out.mkv"), "--from", "0.4")
    assert "  one segment: only a part of it is wanted" in told("plan", *words)


def test_a_stream_has_no_plan() -> None:
    with pytest.raises(ConfigError, match="a stream cannot be looked at first"):
        told("enhance", "-", "-o", "-", "--dry-run")


def test_plan_takes_every_option_of_enhance() -> None:
    wanted = dict(inspect.signature(cli_enhance.enhance).parameters)
    del wanted["dry_run"]
    assert dict(inspect.signature(cli_plan.plan).parameters) == wanted
    for name in ("--faces", "--from", "--overwrite", "--no-resume"):
        assert name in told("plan", "--help")


@pytest.mark.parametrize("words", [("plan",), ("enhance", "--dry-run")])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--faces", "nonsense"), "faces"),
        (("--set", "crop.faces=0"), "faces"),
        (("--runner", "spark"), "runner"),
        (("--from", "later"), "--from"),
        (("--set", "nosuch.key=1"), "nosuch"),
    ],
)
def test_what_enhance_refuses_plan_refuses(
    tmp_path: Path, words: tuple[str, ...], more: tuple[str, ...], message: str
) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    for command in (words, ("enhance",)):
        with pytest.raises((GraphError, ConfigError), match=message) as caught:
            told(*command, str(source), "-o", str(tmp_path / "out.mkv"), *more)
        assert exit_code(caught.value) == 2


@pytest.mark.parametrize("words", [("plan",), ("enhance", "--dry-run"), ("enhance",)])
def test_what_cannot_be_done_has_the_exit_code_of_the_run(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    bad = folder / "bad.mp4"
    bad.write_bytes(b"no video")
    with pytest.raises(MediaError) as caught:
        told(*words, str(bad), "-o", str(tmp_path / "out.mkv"))
    assert exit_code(caught.value) == 3
    make_video(folder / "good.mp4", Video(frames=5))
    with pytest.raises(RunFailedError, match="1 of 2 videos") as failed:
        told(*words, str(folder), "-o", str(tmp_path / "out"), "--runner", "local")
    assert exit_code(failed.value) == 4


def test_a_plan_says_once_why_nothing_can_be_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (folder / name).write_bytes(b"no video")
    for source, output in ((folder / "a.mp4", "out.mkv"), (folder, "out")):
        words = ["aminet", "plan", str(source), "-o", str(tmp_path / output)]
        monkeypatch.setattr("sys.argv", words)
        main()
        said = "".join(capsys.readouterr())
        assert "nothing is left to do" not in said
        for name in ("a.mp4", "b.mp4") if source == folder else ("a.mp4",):
            (line,) = (line for line in said.splitlines() if f"{folder}/{name}" in line)
            assert line.count(f"{folder}/{name}") == 1
            assert "not a media file that can be read" in line


def test_a_plan_says_what_stands_in_the_way(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    words = (str(source), "-o", str(tmp_path / "out.mkv"))
    (tmp_path / "out.mkv").write_bytes(b"mine")
    for command in (("plan",), ("enhance", "--dry-run"), ("enhance",)):
        with pytest.raises(OutputError, match="add --overwrite"):
            told(*command, *words)
    assert "1 segment to do" in told("plan", *words, "--overwrite")
    assert (tmp_path / "out.mkv").read_bytes() == b"mine"


def test_a_plan_makes_no_folder(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    assert "1 segment to do" in told("plan", str(source), "-o", str(tmp_path / "new" / "out.mkv"))
    assert not (tmp_path / "new").exists()


def test_a_plan_agrees_with_the_run_on_what_is_done(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    words = (str(source), "-o", str(tmp_path / "out.mkv"))
    told("enhance", *words, "--faces", "largest")
    for command in (("plan",), ("enhance", "--dry-run")):
        assert "done by an earlier run" in told(*command, *words, "--faces", "largest")
        with pytest.raises(OutputError, match="add --overwrite"):
            told(*command, *words, "--faces", "largest", "--no-resume")
        with pytest.raises(OutputError, match="add --overwrite"):
            told(*command, *words)


def test_plan_says_that_pictures_change_and_what_becomes_of_them(tmp_path: Path) -> None:
    source = make_changing(tmp_path / "v.ts", [Part(160, 90), Part(320, 180)])
    assert (
        "  its pictures change: 160x90 yuv420p, then 320x180 yuv420p; all of them become 320x180"
        " yuv420p, with black beside those of another shape"
    ) in told("plan", str(source), "-o", str(tmp_path / "out.ts")).splitlines()
