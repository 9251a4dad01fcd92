"""The page of a run: everything shown, everything escaped, nothing loaded."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from upath import UPath

from nodes.join import SHOTS, TRACKS
from nodes.sheet.page import PagePair, read_page
from nodes.sheet.page import write_page as write_sheet
from pipeline.evidence.record import Evidence, Work
from pipeline.evidence.tracks import TrackRecord
from pipeline.job.report import RunReport, VideoReport
from pipeline.page.build import page_location, write_page

HOSTILE = '<script>alert("1")</script>\' onerror=x \u202e\x1b[2J &amp;'


class Page(HTMLParser):
    """Collects the elements of a page, and the text in each kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "input", "br", "link"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(parts) for tag, parts in self.texts.items() if tag != "script")


def video_in(folder: Path, name: str, tracks: int = 2, frames: int = 20) -> VideoReport:
    """Return the report of a video whose files lie in a folder."""
    folder.mkdir(exist_ok=True)
    picture = Image.effect_mandelbrot((64, 64), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    beside = {TRACKS: str(folder / f"{name}.tracks.jsonl")}
    rows = [
        {
            "track_id": track,
            "time_s": frame / 25,
            "gate": "turned" if frame % 10 == 9 else None,
            "eye_distance_px": 20.0 + 4 * (track == 1 and frame > 9),
        }
        for frame in range(frames)
        for track in range(1, tracks + 1)
    ]
    (folder / f"{name}.tracks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for track in range(1, tracks + 1):
        sheet = folder / f"{track:04d}.png"
        pair = PagePair(track, 0.5, 20.0, picture, picture.rotate(90), "sharpest")
        others = replace(pair, kind="largest"), replace(pair, kind="most frontal", time_s=0.25)
        write_sheet([pair, *others], sheet, columns=2)
        beside[f"{SHOTS}/{track:04d}.png"] = str(sheet)
    work = Work(("aminet", "enhance", HOSTILE), {"av": "18"}, {"enhance": "ab" * 32}, GRAPH, (), 2)
    record = TrackRecord(1, 20, 0.0, 0.8, (0, 0, 9, 9), 50, 0.8, 12, 2.25, 41.04, 40.0)
    return VideoReport(
        source=f"/in/{name}",
        output=str(folder / name),
        status="done",
        frames=frames,
        faces=15,
        tracks=tracks,
        left_alone={"too large (over 64 px between the eyes)": 60},
        notes=(HOSTILE,),
        beside=beside,
        sha256={name: "cd" * 32},
        evidence=Evidence({name: "ef" * 32}, {TRACKS: "01" * 32}, work, (record,)),
    )


GRAPH = {"name": "g", "params": {}, "nodes": {"decode": {"type": "t", "config": {"x": HOSTILE}}}}


def page_of(folder: Path, *videos: VideoReport) -> tuple[Page, str]:
    report = RunReport(
        path=str(folder / "report.json"),
        version="0.1.0",
        started_utc="2026-01-01T00:00:00+00:00",
        wall_s=1.0,
        runner={},
        videos=videos,
        skipped=(),
        config={},
    )
    location = page_location(UPath(folder / "report.json"))
    size_bytes = write_page(json.loads(report.to_json()), location)
    text = Path(str(location)).read_text(encoding="utf-8")
    assert len(text.encode()) == size_bytes
    return Page(text), text


def test_it_shows_what_was_done_and_what_was_left_alone(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, video_in(tmp_path, "door.mkv"))
    for told in (
        "left alone 60 times: too large (over 64 px between the eyes)",
        "Altered in 20 frames, by 2.2 levels on average and 12 at most",
        "agrees with the source to 41.0 dB",
        "ef" * 32,
        "cd" * 32,
        "ab" * 32,
        "an estimate, not a proof of who it is",
    ):
        assert told in page.text
    stretches = [a for a in page.all("a") if (a.get("href") or "").startswith("door.mkv#t=")]
    titles = [a.get("title") for a in stretches if a.get("title")]
    assert titles[:2] == [
        "face 1, restored, 0:00.00 to 0:00.32",
        "face 1, left alone, 0:00.36 to 0:00.36",
    ]
    assert all(a.get("aria-label") for a in stretches if "title" in a)


def test_generative_faces_are_called_so(tmp_path: Path) -> None:
    plain = video_in(tmp_path, "door.mkv")
    page, _ = page_of(tmp_path, plain)
    assert "enerative" not in page.text
    drawn = replace(plain, generative_faces=7)
    for sheet in tmp_path.glob("0*.png"):
        pairs = [replace(pair, generative=True) for pair in read_page(sheet)]
        write_sheet(pairs, sheet, columns=2)
    page, _ = page_of(tmp_path, drawn)
    assert "in 7 of these the network drew detail that is plausible, not recorded" in " ".join(
        page.text.split()
    )
    assert page.text.count("restored (generative)") == 4


def test_each_face_has_its_pictures_with_a_slider(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, video_in(tmp_path, "door.mkv"))
    pictures, sliders = page.all("img"), page.all("input")
    assert len(pictures) == 3 * len(sliders) == 12
    assert all((img["src"] or "").startswith("data:image/webp;base64,") for img in pictures)
    assert all(img["loading"] == "lazy" and img["alt"] for img in pictures)
    assert all(each["type"] == "range" and each["aria-label"] for each in sliders)
    assert len({img["src"] for img in pictures}) == 3
    assert page.text.count("what changed, times 8") == len(sliders)
    assert "sharpest, largest at" in page.text


def test_all_outputs_are_linked(tmp_path: Path) -> None:
    both = {"encode": str(tmp_path / "door.mkv"), "changes": str(tmp_path / "door.changes.mkv")}
    page, _ = page_of(tmp_path, replace(video_in(tmp_path, "door.mkv"), outputs=both))
    assert {"door.mkv", "door.changes.mkv"} <= {a["href"] for a in page.all("a")}


def test_each_face_has_its_sizes_and_the_reasons_why_it_was_left_alone(tmp_path: Path) -> None:
    page, _ = page_of(tmp_path, video_in(tmp_path, "door.mkv"))
    text = " ".join(page.text.split())
    assert "eyes 20 to 24 px apart; left alone in 2 frames: turned (2)" in text
    assert "eyes 20 px apart; left alone in 2 frames: turned (2)" in text


def test_the_tab_key_stops_once_at_the_times_of_a_face(tmp_path: Path) -> None:
    """The arrow keys lead to the others: there may be hundreds."""
    page, text = page_of(tmp_path, video_in(tmp_path, "door.mkv"))
    stretches = [a for a in page.all("a") if (a.get("title") or "").startswith("face ")]
    stops = [a["title"] for a in stretches if a.get("tabindex") != "-1"]
    assert len(stretches) == 8
    assert [stop.partition(",")[0] for stop in stops if stop] == ["face 1", "face 2"]
    assert "ArrowRight" in text


def test_everything_is_escaped_and_nothing_is_loaded(tmp_path: Path) -> None:
    name = 'a" onmouseover=x <b>\udcff%20#.mkv'
    page, text = page_of(tmp_path, video_in(tmp_path, name))
    assert len(page.all("script")) == 1
    assert not page.all("b")[5:]
    assert '<script>alert("1")' not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    attributes = {key for _, own in page.tags for key in own}
    assert not {key for key in attributes if key.startswith("on")}
    assert not page.all("link") + page.all("iframe") + page.all("object")
    sources = [own["src"] or "" for _, own in page.tags if "src" in own]
    assert all(source.startswith("data:image/webp;") for source in sources)
    links = [a["href"] or "" for a in page.all("a")]
    assert any(link.startswith("a%22%20onmouseover%3Dx%20%3Cb%3E%FF%2520%23.mkv") for link in links)


def test_only_its_own_script_may_run(tmp_path: Path) -> None:
    page, text = page_of(tmp_path, video_in(tmp_path, "door.mkv"))
    script = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy is not None
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")


def test_a_folder_has_a_table_of_contents_with_failures(tmp_path: Path) -> None:
    videos = [video_in(tmp_path / str(n), f"v{n}.mkv", tracks=1) for n in range(9)]
    page, _ = page_of(tmp_path, *videos, VideoReport("in/bad.mkv", None, "failed", error=HOSTILE))
    targets = [a["href"] for a in page.all("a") if (a["href"] or "").startswith("#")]
    assert targets == [f"#video{n}" for n in range(1, 11)]
    assert {section.get("id") for section in page.all("section")} >= {t[1:] for t in targets if t}
    assert "Failed:" in page.text


def test_a_video_elsewhere_or_without_faces_has_no_links(tmp_path: Path) -> None:
    plain = VideoReport("in/a.mkv", "/elsewhere/a.mkv", "done", frames=3)
    page, _ = page_of(tmp_path, plain)
    assert not page.all("a")
    assert "/elsewhere/a.mkv" in page.text


def test_what_lies_beside_may_be_gone_or_broken(tmp_path: Path) -> None:
    video = video_in(tmp_path, "door.mkv")
    Path(video.beside[TRACKS]).write_text("{}\n")
    Path(video.beside[f"{SHOTS}/0001.png"]).write_text("no picture")
    Path(video.beside[f"{SHOTS}/0002.png"]).unlink()
    page, _ = page_of(tmp_path, video)
    assert not page.all("img")
    assert "left alone 60 times" in page.text


@pytest.mark.slow
def test_a_long_video_with_many_faces_stays_light(tmp_path: Path) -> None:
    video = video_in(tmp_path, "long.mkv", tracks=200, frames=10_000)
    began_s = time.process_time()
    page, text = page_of(tmp_path, video)
    assert time.process_time() - began_s < 120
    assert len(page.all("img")) == 1200
    assert len(text) < 10_000_000
