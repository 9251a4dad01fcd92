"""Which files a job reads and writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from upath import UPath

from nodes.errors import MediaError
from nodes.join import SHEET
from nodes.sheet import Sheet
from pipeline.errors import OutputError
from pipeline.job.files import check_outputs, plan_files
from pipeline.job.output_paths import make_folder
from tests.support.media import Video, make_video


@pytest.fixture
def footage(tmp_path: Path) -> Path:
    folder = tmp_path / "footage"
    for name in ("a.mp4", "deep/b.MKV", "deep/.hidden.mp4", "notes.txt", ".cache/c.mp4"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    make_video(folder / "recorder.dav", Video(format="mpegts"))
    return folder


def test_one_file_becomes_the_named_file(footage: Path, tmp_path: Path) -> None:
    files = plan_files([str(footage / "a.mp4")], UPath(tmp_path / "out.mp4"))
    assert [video.target for video in files.videos] == [tmp_path / "out.mp4"]
    assert files.report == tmp_path / "out.report.json"
    assert files.videos[0].side(SHEET) == tmp_path / "out.faces.png"


def test_one_file_into_a_folder_keeps_its_name(footage: Path, tmp_path: Path) -> None:
    files = plan_files([str(footage / "a.mp4")], UPath(tmp_path / "out"))
    assert [video.target for video in files.videos] == [tmp_path / "out" / "a.mp4"]
    assert files.report == tmp_path / "out" / "report.json"


def test_a_folder_keeps_its_shape_and_names_what_it_skips(footage: Path, tmp_path: Path) -> None:
    files = plan_files([str(footage)], UPath(tmp_path / "out"))
    targets = [video.target for video in files.videos]
    assert targets == [tmp_path / "out" / name for name in ("a.mp4", "recorder.dav", "deep/b.MKV")]
    assert files.skipped == (str(footage / "notes.txt"),)


def test_videos_of_one_name_have_sheets_of_their_own(tmp_path: Path) -> None:
    names = (
        "a.mp4",
        "a.mkv",
        "b.mp4",
        "b.mp4.mkv",
        "c.mov",
        "deep/c.mp4",
        "photo.jpg",
        "photo.mp4",
    )
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    files = plan_files([str(tmp_path / "in")], UPath(tmp_path / "out"))
    out = UPath(tmp_path / "out")
    sheets = {video.target.relative_to(out).as_posix(): video.side(SHEET) for video in files.videos}
    assert {name: sheet.relative_to(out).as_posix() for name, sheet in sheets.items()} == {
        "a.mp4": "a.mp4.faces.png",
        "a.mkv": "a.mkv.faces.png",
        "b.mp4": "b.faces.png",
        "b.mp4.mkv": "b.mp4.mkv.faces.png",
        "c.mov": "c.faces.png",
        "deep/c.mp4": "deep/c.faces.png",
        "photo.jpg": "photo.jpg.faces.png",
        "photo.mp4": "photo.faces.png",
    }


def test_an_output_folder_inside_the_input_is_not_read(footage: Path) -> None:
    done = footage / "restored"
    done.mkdir()
    (done / "a.mp4").write_bytes(b"x")
    files = plan_files([str(footage)], UPath(done))
    assert len(files.videos) == 3


def test_two_inputs_with_one_output_are_an_error(footage: Path, tmp_path: Path) -> None:
    files = plan_files([str(footage), str(footage / "a.mp4")], UPath(tmp_path / "out"))
    with pytest.raises(OutputError, match=r"a\.mp4 is given 2 times: give it once"):
        check_outputs(files.videos, endings=Sheet.endings, overwrite=True)


def test_two_inputs_of_one_name_are_an_error(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.mp4").write_bytes(b"x")
    given = [str(footage / "a.mp4"), str(tmp_path / "b" / "a.mp4")]
    files = plan_files(given, UPath(tmp_path / "out"))
    with pytest.raises(OutputError, match=r"2 inputs would become .*a\.mp4: rename them"):
        check_outputs(files.videos, endings=Sheet.endings, overwrite=True)


@pytest.mark.parametrize("name", ["out.mp4", "out.MKV", "out.png", "f_%04d.jpg"])
def test_several_videos_do_not_go_into_a_folder_that_is_named_like_one(
    footage: Path, tmp_path: Path, name: str
) -> None:
    two = [str(footage / "a.mp4"), str(footage / "deep" / "b.MKV")]
    for inputs, why in ((two, "2 inputs go there"), ([str(footage)], "the input is a folder")):
        with pytest.raises(
            OutputError, match=f"named like a single file, but {why}: give a folder"
        ):
            plan_files(inputs, UPath(tmp_path / name))
    (tmp_path / name).mkdir()
    assert plan_files(two, UPath(tmp_path / name)).videos[0].target == tmp_path / name / "a.mp4"
    assert plan_files(two, UPath(tmp_path / "take.2")).report == tmp_path / "take.2" / "report.json"


def test_missing_and_empty_inputs_are_media_errors(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no such file"):
        plan_files([str(tmp_path / "none.mp4")], UPath(tmp_path / "out.mp4"))
    with pytest.raises(MediaError, match="no file matches this pattern"):
        plan_files([str(tmp_path / "*.mov")], UPath(tmp_path / "out"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MediaError, match="no video found"):
        plan_files([str(tmp_path / "empty")], UPath(tmp_path / "out"))


def test_a_url_is_not_looked_for_on_disk(tmp_path: Path) -> None:
    files = plan_files(["http://localhost:9/a.mp4"], UPath(tmp_path / "out"))
    assert files.videos[0].target == tmp_path / "out" / "a.mp4"


def test_an_existing_output_needs_overwrite(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"x")
    files = plan_files([str(footage / "a.mp4")], UPath(tmp_path / "out.mp4"))
    with pytest.raises(OutputError, match="add --overwrite"):
        check_outputs(files.videos, endings=Sheet.endings, overwrite=False)
    check_outputs(files.videos, endings=Sheet.endings, overwrite=True)


def test_an_existing_sheet_is_not_lost_either(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "out.faces.png").write_bytes(b"x")
    files = plan_files([str(footage / "a.mp4")], UPath(tmp_path / "out.mp4"))
    with pytest.raises(OutputError, match=r"out.faces.png exists already"):
        check_outputs(files.videos, endings=Sheet.endings, overwrite=False)


def test_writing_over_the_input_is_refused_even_with_overwrite(footage: Path) -> None:
    files = plan_files([str(footage / "a.mp4")], UPath(footage / "a.mp4"))
    with pytest.raises(OutputError, match="both input and output"):
        check_outputs(files.videos, endings=Sheet.endings, overwrite=True)


def test_a_folder_that_cannot_be_made_is_an_error(footage: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    files = plan_files([str(footage / "a.mp4")], UPath(tmp_path / "file" / "out.mp4"))
    with pytest.raises(OutputError, match=r"cannot write to folder .*/file: a file is in the way"):
        make_folder(files.videos[0], UPath(tmp_path))


def test_what_an_earlier_run_left_beside_goes_and_what_others_put_there_stays(
    footage: Path, tmp_path: Path
) -> None:
    (video,) = plan_files([str(footage / "a.mp4")], UPath(tmp_path / "out.mp4")).videos
    folder = video.side(".faces")
    folder.mkdir()
    for path in (video.side(SHEET), video.side(".faces/0001.png"), folder / "mine.png"):
        path.write_bytes(b"x")
    with pytest.raises(OutputError, match=r"out\.faces"):
        check_outputs([video], endings=Sheet.endings, overwrite=False)
    video.drop_sides(Sheet.endings)
    assert [path.name for path in folder.iterdir()] == ["mine.png"]
    assert not video.side(SHEET).exists()
    (folder / "mine.png").unlink()
    video.drop_sides(Sheet.endings)
    assert not folder.exists()
    assert video.existing_sides(Sheet.endings) == []
