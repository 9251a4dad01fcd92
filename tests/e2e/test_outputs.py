"""Outputs belong to sinks: several encoders in a graph, or none, and inputs that are optional."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

import pipeline
from nodes.tracks.rows import read_tracks
from pipeline.api import enhance_stream
from pipeline.errors import GraphError, OutputError
from tests.support.media import AudioTrack, Video, decode_all, make_video
from tests.support.sink_nodes import install

pytestmark = pytest.mark.filterwarnings("default")

FOOTAGE = Video(frames=60, gop_frames=10, audio=(AudioTrack(),))
CUT = "run.segment_s=0.7"
DECODE = "decode: {type: aminet.decode}"
TRACK = "track: {type: aminet.track, inputs: {frames: decode.frames}}"
TRACKS = "rows: {type: aminet.tracks, inputs: {faces: track.faces}}"
ENCODE = "type: aminet.encode, inputs: {frames: decode.frames}"
TWO = (f"main: {{{ENCODE}}}", f"small: {{{ENCODE}, config: {{crf: 40}}}}")
NOTES = "notes: {type: acme.joined, inputs: {frames: decode.frames}}"


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_video(tmp_path / "v.mp4", FOOTAGE)


def write_run(folder: Path, *nodes: str) -> Path:
    graph, run = folder / "graph.yaml", folder / "run.yaml"
    graph.write_text("\n  ".join(["name: parts\nnodes:", DECODE, *nodes]), encoding="utf-8")
    run.write_text(f"graph: {graph}\nrun: {{runner: local}}\n", encoding="utf-8")
    return run


def streams(path: Path) -> list[str]:
    with av.open(path) as container:
        return [stream.type for stream in container.streams]


def times(path: Path) -> list[float]:
    shown = [frame.time or 0 for frame in decode_all(path)]
    return [round(time - shown[0], 3) for time in shown]


def test_two_encoders_make_two_outputs_of_one_decode(source: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, *TWO, NOTES)
    out = tmp_path / "out.mkv"
    video = pipeline.enhance(source, out, config=config, settings=[CUT]).videos[0]
    main, small = tmp_path / "out.main.mkv", tmp_path / "out.small.mkv"
    assert video.segments == 3
    assert video.outputs == {"main": str(main), "small": str(small)}
    assert video.output == str(main)
    assert not out.exists()
    assert (tmp_path / "out.times.csv").exists()
    for path in (main, small):
        assert streams(path) == streams(source)
        assert times(path) == times(source)
    assert small.stat().st_size < main.stat().st_size
    assert video.output_bytes == small.stat().st_size + main.stat().st_size
    assert {name: video.nodes[name]["mux"]["frames"] for name in ("main", "small")} == {
        "main": 60,
        "small": 60,
    }
    made = main.stat().st_mtime_ns
    again = pipeline.enhance(source, out, config=config, settings=[CUT]).videos[0]
    assert (again.sha256, main.stat().st_mtime_ns) == (video.sha256, made)
    small.unlink()
    with pytest.raises(OutputError, match=r"exists already"):
        pipeline.enhance(source, out, config=config, settings=[CUT])


BESIDE = f"small: {{{ENCODE}, config: {{beside: true}}}}"


def test_an_encoder_beside_the_output_leaves_it_its_name(source: Path, tmp_path: Path) -> None:
    # The one beside is named first: the other is the output all the same.
    config = write_run(tmp_path, BESIDE, TWO[0])
    out, small = tmp_path / "out.mkv", tmp_path / "out.small.mkv"
    video = pipeline.enhance(source, out, config=config).videos[0]
    assert video.output == str(out)
    assert video.outputs == {"main": str(out), "small": str(small)}
    assert times(small) == times(out) == times(source)
    out.unlink()
    with pytest.raises(OutputError, match=r"out\.small\.mkv exists already"):
        pipeline.enhance(source, out, config=config, settings=["main.crf=30"], resume=False)
    stream = tmp_path / "stream.mkv"
    enhance_stream(str(source), stream, config=config)
    assert times(stream) == times(source)
    assert not (tmp_path / "stream.small.mkv").exists()
    alone = pipeline.enhance(source, tmp_path / "b.mkv", config=write_run(tmp_path, BESIDE))
    assert alone.videos[0].output == str(tmp_path / "b.small.mkv")


def test_an_output_that_the_next_run_does_not_have_is_removed(source: Path, tmp_path: Path) -> None:
    out, small, own = (tmp_path / name for name in ("out.mkv", "out.small.mkv", "out.mine.mkv"))
    own.write_bytes(b"not of a run")
    pipeline.enhance(source, out, config=write_run(tmp_path, TWO[0], BESIDE))
    assert small.exists()
    report = tmp_path / "out.report.json"
    found = json.loads(report.read_text(encoding="utf-8"))
    forged = {name: f"{tmp_path}/out.{name}.mkv" for name in ("zero\0", 300 * "x")}
    found["videos"][0]["outputs"] |= {"mine": str(source), "..": str(own), **forged}
    report.write_text(json.dumps(found), encoding="utf-8")
    config = write_run(tmp_path, TWO[0])
    pipeline.enhance(source, out, config=config, overwrite=True)
    assert not small.exists()
    assert out.exists()
    assert source.exists()
    assert own.exists()


def test_another_video_may_have_the_name_of_an_output_of_the_run_before(
    source: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    source.rename(folder / "z.mp4")
    pipeline.enhance(folder, out, config=write_run(tmp_path, TWO[0], BESIDE.replace("small", "a")))
    assert (out / "z.a.mp4").exists()
    make_video(folder / "z.a.mp4", FOOTAGE)  # is done before z.mp4
    pipeline.enhance(folder, out, config=write_run(tmp_path, TWO[0]), overwrite=True)
    assert (out / "z.a.mp4").exists()


def test_an_existing_file_with_the_name_of_one_encoder_is_kept(
    source: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "out.small.mkv"
    mine.write_text("mine", encoding="utf-8")
    config = write_run(tmp_path, *TWO)
    with pytest.raises(OutputError, match=r"out\.small\.mkv exists already"):
        pipeline.enhance(source, tmp_path / "out.mkv", config=config)
    assert mine.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "out.main.mkv").exists()


def test_two_encoders_of_a_folder_of_twins(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.mp4", "a.mkv"):
        make_video(folder / name, Video(frames=5))
    out = tmp_path / "out"
    report = pipeline.enhance(folder, out, config=write_run(tmp_path, *TWO))
    assert not report.failed
    names = {path.name for path in out.iterdir()}
    assert {f"a.{kind}.{node}.{kind}" for kind in ("mp4", "mkv") for node in ("main", "small")} == {
        name for name in names if name not in ("report.json", "report.html")
    }


def test_a_graph_without_an_encoder_wants_a_folder(source: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, NOTES)
    with pytest.raises(OutputError, match=r"out\.mkv: graph 'parts' has no encoder.*folder"):
        pipeline.enhance(source, tmp_path / "out.mkv", config=config)
    out = tmp_path / "out"
    video = pipeline.enhance(source, out, config=config, settings=[CUT]).videos[0]
    assert {path.name for path in out.iterdir()} == {"report.html", "report.json", "v.times.csv"}
    assert (video.output, video.outputs, video.frames, video.segments) == (None, {}, 60, 3)
    written = (out / "v.times.csv").stat().st_mtime_ns
    again = pipeline.enhance(source, out, config=config, settings=[CUT]).videos[0]
    assert (again.beside, (out / "v.times.csv").stat().st_mtime_ns) == (video.beside, written)
    (out / "v.times.csv").unlink()
    assert pipeline.enhance(source, out, config=config, settings=[CUT]).videos[0].frames == 60
    assert (out / "v.times.csv").exists()


def test_faces_alone_are_enough_for_their_rows(tmp_path: Path) -> None:
    portrait = Path(__file__).parents[2] / "samples" / "portrait.mp4"
    out = tmp_path / "out"
    config = write_run(tmp_path, TRACK, TRACKS)
    video = pipeline.enhance(portrait, out, config=config, settings=["decode.to_s=0.4"]).videos[0]
    assert video.tracks == 1
    rows = list(read_tracks(out / "portrait.tracks.jsonl"))
    assert len(rows) >= video.frames - 1
    assert {row["patch_px"] for row in rows} == {None}
    assert {row["gate"] for row in rows} == {None}


def test_a_node_needs_at_least_one_input(source: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, "rows: {type: aminet.tracks, inputs: {}}", *TWO)
    with pytest.raises(GraphError, match=r"rows\.faces .* is not connected"):
        pipeline.enhance(source, tmp_path / "out.mkv", config=config)


def test_two_decoders_are_refused_and_the_message_says_why(source: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, "again: {type: aminet.decode}", *TWO)
    with pytest.raises(GraphError, match=r"2 source nodes .*frames of one video"):
        pipeline.enhance(source, tmp_path / "out.mkv", config=config)


def test_a_stream_has_one_encoder(source: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, *TWO)
    with pytest.raises(GraphError, match="a stream has one output"):
        enhance_stream("-", tmp_path / "out.mkv", config=config)


def test_the_report_lists_every_output(source: Path, tmp_path: Path) -> None:
    config = write_run(tmp_path, *TWO)
    pipeline.enhance(source, tmp_path / "out.mkv", config=config)
    report = json.loads((tmp_path / "out.report.json").read_text(encoding="utf-8"))
    assert set(report["videos"][0]["outputs"]) == {"main", "small"}
    assert set(report["videos"][0]["sha256"]) == {"out.main.mkv", "out.small.mkv"}
