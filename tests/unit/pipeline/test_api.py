"""What `import pipeline` hands on."""

from __future__ import annotations

import inspect
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pipeline
from nodes.errors import MediaError
from pipeline.config import Flags, GraphFlags
from pipeline.errors import ConfigError, StorageError
from tests.support.media import Video, make_video

BICUBIC = "enhance.weights=bicubic"


def test_every_public_name_is_there() -> None:
    assert set(dir(pipeline)) >= set(pipeline.__all__)
    for name in {*pipeline.__all__} - {"__version__"}:
        assert getattr(pipeline, name).__module__.startswith("pipeline."), name
    with pytest.raises(AttributeError, match="nothing"):
        _ = pipeline.nothing


def test_importing_it_loads_nothing_until_a_name_is_asked_for() -> None:
    code = "import sys, pipeline; print('pipeline.api' in sys.modules, end=' ');"
    code += "pipeline.plan; print('pipeline.api' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"


def test_a_plan_says_what_the_call_would_do_and_changes_nothing(tmp_path: Path) -> None:
    source = make_video(tmp_path / "v.mp4", Video(frames=30, gop_frames=10))
    planned = pipeline.plan(
        source, tmp_path / "out.mkv", settings=[BICUBIC, "run.segment_s=0.5"], faces="largest"
    )
    (video,) = planned.videos
    assert (planned.problem, video.error, video.done) == (None, None, {})
    assert planned.segments_left > 1
    assert planned.graph.params["faces"] == "largest"
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_a_plan_holds_the_error_of_the_call(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"no video")
    planned = pipeline.plan([str(tmp_path / "v.mp4")], tmp_path / "out.mkv", settings=[BICUBIC])
    assert isinstance(planned.problem, MediaError)
    with pytest.raises(MediaError, match=r"v\.mp4"):
        pipeline.enhance(tmp_path / "v.mp4", tmp_path / "out.mkv", settings=[BICUBIC])


@pytest.mark.parametrize("name", ["enhance", "plan", "enhance_stream"])
def test_a_misspelt_setting_is_refused(name: str, tmp_path: Path) -> None:
    call: Any = getattr(pipeline, name)
    with pytest.raises(TypeError, match=r"'scael'; expected one of graph, scale, look, strength"):
        call("in.mp4", tmp_path / "out.mp4", scael=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["enhance", "plan"])
def test_every_setting_of_its_own_name_is_read(name: str, tmp_path: Path) -> None:
    call: Any = getattr(pipeline, name)
    source = make_video(tmp_path / "v.mp4", Video(frames=5))
    wrong = dict.fromkeys(GraphFlags.__annotations__, "nonsense") | {"runner": "spark"}
    free = {"address", "sign_cert", "sign_key", "sign_tsa"}  # any text may be right
    assert wrong.keys() | free == Flags.__annotations__.keys()
    named = {"evidence": "exact"}  # what the nodes call it
    for setting, value in wrong.items():
        with pytest.raises(ValueError, match=named.get(setting, setting)):
            call(source, tmp_path / "out.mkv", **{setting: value})


def test_calls_on_a_job_take_the_same_arguments() -> None:
    wanted = dict(inspect.signature(pipeline.enhance).parameters)
    for name in ("monitor", "command", "on_progress", "cancel"):
        del wanted[name]
    assert dict(inspect.signature(pipeline.plan).parameters) == wanted


@pytest.mark.parametrize(
    ("source", "output"), [("v.mp4", "-"), ("-", "out.mp4"), ("rtsp://gate/1", "out.mp4")]
)
@pytest.mark.parametrize("call", [pipeline.enhance, pipeline.plan])
def test_a_stream_is_left_to_the_function_for_it(
    call: Any, source: str, output: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "v.mp4", Video(frames=1))
    with pytest.raises(ConfigError, match=r"is a stream, .*: use pipeline\.enhance_stream"):
        call(source, output)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_a_call_without_inputs_is_told_as_one(tmp_path: Path) -> None:
    for call in (pipeline.plan, pipeline.enhance):
        with pytest.raises(ConfigError, match="no input was given"):
            call([], tmp_path / "out")


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"a.mp4"


@pytest.mark.parametrize(
    "path", [b"a.mp4", bytearray(b"a"), io.BytesIO(b"a"), None, 3, [None], [b"a.mp4"], BytesPath()]
)
def test_what_is_no_path_is_told_as_one(path: Any, tmp_path: Path) -> None:
    """Bytes and open files can be iterated over: what they hold is not taken for names."""
    calls: list[Callable[[], Any]] = [
        lambda: pipeline.plan(path, tmp_path / "out"),
        lambda: pipeline.enhance(path, tmp_path / "out"),
        lambda: pipeline.enhance("a.mp4", path),
        lambda: pipeline.enhance_stream(path, tmp_path / "out.mkv"),
        lambda: pipeline.enhance_stream("-", path),
        lambda: pipeline.verify(path),
    ]
    for call in calls:
        with pytest.raises(StorageError, match="expected a path or a URL, as text"):
            call()


@pytest.mark.parametrize("kind", [iter, set, tuple, dict.fromkeys])
def test_inputs_may_be_any_iterable(kind: Callable[[list[Path]], Any], tmp_path: Path) -> None:
    make_video(tmp_path / "v.mp4", Video(frames=1))
    plan = pipeline.plan(kind([tmp_path / "v.mp4"]), tmp_path / "out.mp4")
    assert [video.source for video in plan.files.videos] == [str(tmp_path / "v.mp4")]


@pytest.mark.parametrize("sample", [-1, "3", 2.0, True])
def test_a_sample_is_a_number_of_frames(sample: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sample: expected a number of frames"):
        pipeline.verify(tmp_path, sample=sample)
