"""What goes wrong gets one line that says what to do, the right exit code, and leaves no mess."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli.app import main
from tests.support import SAMPLES
from tests.support.faults import start
from tests.support.media import AudioTrack, Subtitle, Video, decode_all, make_video, truncate

# MediaPipe warns of its own dependencies.
pytestmark = pytest.mark.filterwarnings("default")

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


@pytest.fixture
def aminet(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Run:
    """Run the program in this process; what libraries write by themselves counts, too."""

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr("sys.argv", ["aminet", *map(str, arguments)])
        capfd.readouterr()
        code = main()
        told = capfd.readouterr()
        logged = "".join(f"{record.levelname}: {record.message}\n" for record in caplog.records)
        return Done(arguments, code, told.out, told.err + logged)

    return run


def aminet_process(*arguments: str | Path) -> Done:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_refused(done: Done, code: int, message: str, folder: Path) -> None:
    assert done.returncode == code, done.stderr
    assert re.search(message, done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (folder / "out.mp4").exists()
    assert not list(folder.glob(".*aminet-part"))


def test_a_missing_file(aminet: Run, tmp_path: Path) -> None:
    done = aminet("enhance", tmp_path / "none.mp4", "-o", tmp_path / "out.mp4")
    assert_refused(done, 3, r"aminet: no such file or folder: .*none\.mp4", tmp_path)


def test_a_text_file_that_claims_to_be_video(tmp_path: Path) -> None:
    source = tmp_path / "notes.mp4"
    source.write_text("no video here\n" * 50)
    done = aminet_process("enhance", source, "-o", tmp_path / "out.mp4")
    assert_refused(done, 3, r"notes\.mp4: not a media file", tmp_path)


def test_sound_without_video(aminet: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "all.mp4", Video(audio=(AudioTrack(),)))
    sound = tmp_path / "sound.mp4"
    import av

    with av.open(source) as container, av.open(sound, "w") as target:
        stream = container.streams.audio[0]
        copy = target.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    done = aminet("enhance", sound, "-o", tmp_path / "out.mp4")
    assert_refused(done, 3, "contains no video, only audio", tmp_path)


def test_a_truncated_mp4_without_its_index(aminet: Run, tmp_path: Path) -> None:
    source = truncate(make_video(tmp_path / "cut.mp4", Video(frames=30)), 0.6)
    done = aminet("enhance", source, "-o", tmp_path / "out.mp4")
    assert_refused(done, 3, r"cut\.mp4: not a media file", tmp_path)


def test_an_output_that_exists(aminet: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    target = tmp_path / "there.mp4"
    target.write_bytes(b"precious")
    done = aminet("enhance", source, "-o", target)
    assert_refused(done, 2, "exists already: add --overwrite", tmp_path)
    assert target.read_bytes() == b"precious"


def test_a_folder_that_cannot_be_written(aminet: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    # Root may write anywhere but in a file's place and in /proc.
    done = aminet("enhance", source, "-o", "/proc/nowhere/out.mp4")
    assert_refused(done, 2, "cannot write to folder /proc/nowhere", tmp_path)


def test_a_container_that_cannot_hold_a_stream(aminet: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", Video(subtitles=(Subtitle(),)))
    refuse = "encode.other_streams=refuse"
    done = aminet("enhance", source, "-o", tmp_path / "out.mp4", "--set", refuse)
    message = r"\.mp4 cannot hold subtitle stream 1 \(subrip\): choose an output ending in \.mkv"
    assert_refused(done, 2, message, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "encod.crf=20"), "did you mean 'encode'"),
        (("--set", "encode.crg=20"), "crg: unknown key"),
        (("--runner", "spark"), "'auto', 'local' or 'ray'"),
        (("--config", "none.yaml"), "cannot read configuration none.yaml"),
        (("--set", "enhance.weights=aminet-xxl"), "aminet-xxl"),
    ],
)
def test_a_mistyped_option(
    aminet: Run, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    source = make_video(tmp_path / "in.mp4")
    done = aminet("enhance", source, "-o", tmp_path / "out.mp4", *arguments)
    assert_refused(done, 2, message, tmp_path)


def test_an_unknown_option_is_a_usage_error(aminet: Run, tmp_path: Path) -> None:
    done = aminet("enhance", "in.mp4", "-o", tmp_path / "out.mp4", "--sacle", "2")
    assert done.returncode == 2
    assert "--scale" in done.stderr


def test_a_video_without_faces_is_done_and_says_so(aminet: Run, tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", Video(frames=10))
    done = aminet("enhance", source, "-o", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    assert "no face found" in done.stdout
    assert len(decode_all(tmp_path / "out.mp4")) == 10
    assert not (tmp_path / "out.faces.png").exists()


def test_a_truncated_mp4_that_has_its_index_is_done_as_far_as_it_goes(
    aminet: Run, tmp_path: Path
) -> None:
    whole = Video(frames=40, container_options={"movflags": "faststart"})
    source = truncate(make_video(tmp_path / "cut.mp4", whole), 0.7)
    done = aminet("enhance", source, "-o", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    frames = len(decode_all(tmp_path / "out.mp4"))
    assert 5 < frames < 40
    assert f"{frames} frames" in done.stdout
    assert "damaged" in done.stdout


def test_one_bad_video_among_good_ones_does_not_stop_them(aminet: Run, tmp_path: Path) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    make_video(folder / "a.mp4")
    (folder / "b.mp4").write_text("no video")
    make_video(folder / "c.mp4")
    done = aminet("enhance", folder, "-o", tmp_path / "out", "--runner", "local")
    assert done.returncode == 4
    assert "1 of 3 videos failed" in done.stderr
    assert "b.mp4: FAILED" in done.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.frames.jsonl",
        "a.mp4",
        "c.frames.jsonl",
        "c.mp4",
        "report.html",
        "report.json",
    }


AGAIN_IN_THE_CLEAN_UP = """
import os, signal
from pipeline.segments.store import SegmentStore
drop = SegmentStore.drop_unfinished
def interrupted(store):
    os.kill(os.getpid(), signal.SIGINT)
    return drop(store)
SegmentStore.drop_unfinished = interrupted
"""


@pytest.mark.parametrize("patch", ["", AGAIN_IN_THE_CLEAN_UP], ids=["once", "again"])
def test_a_terminated_run_leaves_nothing_behind(patch: str, tmp_path: Path) -> None:
    run = start(SAMPLES / "street.mp4", tmp_path / "out.mp4", (), patch=patch)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".*aminet-part/*")):
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGTERM)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


WHILE_RAY_STARTS = """
import os, signal
from pipeline.interrupts import install
install()
import ray
init = ray.init
def interrupted(**settings):
    init(**settings)
    os.kill(os.getpid(), signal.SIGTERM)
ray.init = interrupted
"""


def test_a_run_that_is_terminated_while_ray_starts(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4")
    run = start(source, tmp_path / "out.mp4", ("run.runner=ray",), patch=WHILE_RAY_STARTS)
    _, errors = run.communicate(timeout=100)
    assert (run.returncode, errors) == (130, "")
    assert list(tmp_path.iterdir()) == [source]
