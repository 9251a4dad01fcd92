"""Rows on everything beside the pictures."""

from __future__ import annotations

from dataclasses import replace

from tests.conformance import sources
from tests.conformance.row import Adder, Row
from tests.support.media import AudioTrack, Subtitle, Video

__all__ = ["extras", "refusals", "sounds", "texts_and_facts"]

AAC = AudioTrack()


def sounds() -> list[Row]:
    """Kinds of sound."""
    add = Adder("streams")
    for name, codec, layout, rate_hz, suffix in (
        ("AAC mono", "aac", "mono", 16000, ".mp4"),
        ("AAC 5.1", "aac", "5.1", 48000, ".mp4"),
        ("PCM 16 bit", "pcm_s16le", "stereo", 48000, ".mov"),
        ("PCM 24 bit", "pcm_s24le", "stereo", 48000, ".mkv"),
        ("G.711 mu-law", "pcm_mulaw", "mono", 8000, ".mov"),
        ("G.711 A-law", "pcm_alaw", "mono", 8000, ".mov"),
        ("Opus", "libopus", "stereo", 48000, ".mkv"),
        ("Opus", "libopus", "stereo", 48000, ".mp4"),
        ("MP3", "libmp3lame", "stereo", 44100, ".mp4"),
        ("AC-3", "ac3", "5.1", 48000, ".ts"),
        ("FLAC", "flac", "stereo", 48000, ".mkv"),
    ):
        add(name, f"v{suffix}", Video(audio=(AudioTrack(codec, layout, rate_hz),)))
    add(
        "G.711 from AVI",
        "v.avi",
        Video(codec="mpeg4", audio=(AudioTrack("pcm_mulaw", "mono", 8000),)),
        codec="h264",
        holds=".mov",
    )
    two = (AudioTrack(language="eng"), AudioTrack(layout="mono", language="jpn"))
    for suffix in (".mp4", ".mkv", ".ts"):
        add("two audio tracks", f"v{suffix}", Video(audio=two))
        add("no audio", f"v{suffix}", Video())
        add("audio longer than video", f"v{suffix}", Video(audio=(AudioTrack(duration_s=2),)))
    return add.rows


def texts_and_facts() -> list[Row]:
    """Subtitles, chapters, metadata."""
    add = Adder("streams")
    srt, many = Subtitle(language="ger"), ((0, 0.2, "one"), (0.2, 0.48, "two"))
    facts = {"title": "Gate 4", "creation_time": "2021-03-04T05:06:07.000000Z"}

    add("SubRip", "v.mkv", Video(audio=(AAC,), subtitles=(srt, replace(srt, language="fre"))))
    add("timed text", "v.mp4", Video(subtitles=(Subtitle("mov_text"),)))
    add("WebVTT", "v.webm", Video(codec="libvpx-vp9", subtitles=(Subtitle("webvtt"),)))
    add("chapters and facts", "v.mp4", Video(chapters=many, metadata=facts, audio=(AAC,)))
    add("chapters and facts", "v.mkv", Video(chapters=many, metadata=facts, audio=(AAC,)))
    add("chapters and facts", "v.mov", Video(chapters=many, metadata=facts))
    add("facts of a camera", "v.mkv", Video(metadata={"camera_serial": "X-17"}), target=".mp4")
    return add.rows


def extras() -> list[Row]:
    """Attachments, covers, timecode, data."""
    add = Adder("streams")
    font = (("font.ttf", "font/ttf", b"not really a font"),)
    add("attachment", "v.mkv", Video(attachments=font))
    add(
        "attachment",
        "v.mkv",
        Video(attachments=font),
        target=".mp4",
        differs={"streams": "MP4 holds no attachments: left out and said"},
    )
    for suffix in (".mp4", ".mkv"):
        add.rows.append(Row("streams", "cover picture", "v.mp4", sources.with_cover, target=suffix))
    add.rows.append(Row("streams", "timecode track", "v.mov", sources.with_timecode))
    add.rows.append(Row("streams", "KLV data", "v.ts", sources.with_data))
    return add.rows


def refusals() -> list[Row]:
    """What a container cannot hold: converted, or told before the work."""
    add = Adder("streams")
    srt = Subtitle(language="ger")
    refuse = ("encode.other_streams=refuse",)
    add(
        "SubRip into MP4",
        "v.mkv",
        Video(subtitles=(srt,)),
        target=".mp4",
        differs={"streams": "the text is MP4's own kind, converted and said"},
    )
    add(
        "G.711 into MP4",
        "v.mov",
        Video(audio=(AudioTrack("pcm_mulaw", "mono", 8000),)),
        target=".mp4",
        differs={"streams": "the sound is ALAC, without loss: converted and said"},
    )
    add(
        "SubRip into MP4, nothing converted",
        "v.mkv",
        Video(subtitles=(srt,)),
        target=".mp4",
        settings=refuse,
        refused=r"\.mp4 cannot hold subtitle stream 1 \(subrip\): choose an output ending in \.mkv",
    )
    add(
        "G.711 into MP4, nothing converted",
        "v.mov",
        Video(audio=(AudioTrack("pcm_mulaw", "mono", 8000),)),
        target=".mp4",
        settings=refuse,
        refused=r"\.mp4 cannot hold audio stream 1 \(pcm_mulaw\): choose an output"
        r" ending in \.mov, or --set encode\.convert\.1=alac to convert that stream",
    )
    add(
        "G.711 into MP4, converted",
        "v.mov",
        Video(audio=(AudioTrack("pcm_mulaw", "mono", 8000),)),
        target=".mp4",
        settings=("encode.convert.1=aac",),
        differs={"streams": "the sound is AAC, as asked for with encode.convert.1=aac"},
    )
    add(
        "SubRip into MP4, converted",
        "v.mkv",
        Video(subtitles=(srt,)),
        target=".mp4",
        settings=("encode.convert.1=mov_text",),
        differs={"streams": "the text is MP4's own kind, as asked for"},
    )
    add(
        "AAC into WebM",
        "v.mp4",
        Video(audio=(AAC,)),
        target=".webm",
        refused=r"\.webm cannot hold h264 video: choose an output ending in \.mkv",
    )
    add(
        "anything into AVI",
        "v.mp4",
        Video(),
        target=".avi",
        refused="AVI stores no presentation times",
    )
    return add.rows
