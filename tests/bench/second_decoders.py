"""Joined files, decoded by other decoders than libav: OpenH264 for H.264, libde265 for HEVC.

    python -m tests.bench.second_decoders FFMPEG

FFMPEG is a program with the decoder `libopenh264`, such as the one in the package `imageio-ffmpeg`;
libde265 is a package of Debian. All pictures have to be those that libav decodes. The kinds are
those of `tests/e2e/test_copying.py`, in which some GOPs are encoded and others copied.
"""

from __future__ import annotations

import argparse
import ctypes
import ctypes.util
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import av
from av.bitstream import BitStreamFilterContext

import pipeline
from nodes.picture.digest import picture_sha256
from tests.e2e.test_copying import H264, HEVC, HEVC_IN_ORDER, IN_ORDER, MARKED, UNEVEN
from tests.support.marking import marking_graph
from tests.support.media import Video, decode_all, make_video

KINDS: Final[tuple[tuple[str, Video], ...]] = (
    ("v.mp4", H264),
    ("v.mkv", H264),
    ("v.ts", H264),
    ("baseline.mov", IN_ORDER),
    ("main.ts", replace(IN_ORDER, options={"preset": "veryfast", "profile": "main"})),
    ("high.mkv", replace(IN_ORDER, options={"preset": "veryfast"})),
    ("pyramid.mp4", replace(H264, b_frames=3, options={"preset": "veryfast"})),
    ("uneven.mp4", UNEVEN),
    ("hevc.mp4", HEVC),
    ("hevc.mkv", HEVC),
    ("hevc.ts", HEVC),
    ("hevc_in_order.mp4", HEVC_IN_ORDER),
)
_WAITS_FOR_DATA: Final = 13
"""libde265's code for: needs more input."""


def by_openh264(ffmpeg: Path, path: Path) -> list[str]:
    """Return the digests of all pictures, in presentation order."""
    command = [ffmpeg, "-v", "error", "-c:v", "libopenh264", "-i", path, "-map", "0:v:0"]
    told = subprocess.run(
        [*command, "-fps_mode", "passthrough", "-f", "framehash", "-hash", "sha256", "-"],
        check=True,
        capture_output=True,
        text=True,
    )
    rows = [line for line in told.stdout.splitlines() if not line.startswith("#")]
    return [row.rpartition(",")[2].strip() for row in rows]


def by_libde265(path: Path) -> list[str]:
    """Return the digests of all pictures, in presentation order.

    Raises:
        OSError: libde265 is not installed.
    """
    name = ctypes.util.find_library("de265")
    if name is None:
        raise OSError("libde265 is not installed")
    library = ctypes.CDLL(name)
    for function in ("de265_new_decoder", "de265_get_next_picture", "de265_get_image_plane"):
        getattr(library, function).restype = ctypes.c_void_p
    decoder = ctypes.c_void_p(library.de265_new_decoder())
    digests: list[str] = []
    for payload in _annex_b(path):
        library.de265_push_data(decoder, payload, len(payload), ctypes.c_int64(0), None)
        digests += _pictures(library, decoder)
    library.de265_flush_data(decoder)
    digests += _pictures(library, decoder)
    library.de265_free_decoder(decoder)
    return digests


def _annex_b(path: Path) -> Iterator[bytes]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        with_start_codes = BitStreamFilterContext("hevc_mp4toannexb", stream)
        for packet in container.demux(stream):
            if packet.size:
                yield from (bytes(each) for each in with_start_codes.filter(packet))


def _pictures(library: ctypes.CDLL, decoder: ctypes.c_void_p) -> Iterator[str]:
    more = ctypes.c_int(1)
    while more.value:
        code = library.de265_decode(decoder, ctypes.byref(more))
        while image := library.de265_get_next_picture(decoder):
            yield _digest(library, ctypes.c_void_p(image))
        if code == _WAITS_FOR_DATA:
            return
        if code:
            raise ValueError(f"libde265: error {code}")


def _digest(library: ctypes.CDLL, image: ctypes.c_void_p) -> str:
    digest = hashlib.sha256()
    for plane in range(3):
        width = library.de265_get_image_width(image, plane)
        height = library.de265_get_image_height(image, plane)
        stride = ctypes.c_int()
        at = library.de265_get_image_plane(image, plane, ctypes.byref(stride))
        for row in range(height):
            digest.update(ctypes.string_at(at + row * stride.value, width))
    return digest.hexdigest()


def joined(name: str, video: Video, folder: Path) -> tuple[Path, int]:
    """Return a file of copied and encoded GOPs, and the number of copied frames."""
    source, out = make_video(folder / name, video), folder / "out" / name
    out.parent.mkdir(exist_ok=True)
    shown = sorted(picture.pts or 0 for picture in decode_all(source))
    graph = marking_graph(*((shown[n], shown[n] + 1) for n in MARKED))
    report = pipeline.run_graph(
        graph, source, out, runner="local", settings=("run.threads=1", "run.segment_s=60")
    )
    return out, report.videos[0].copied_frames


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row for each kind; return 1 if a picture differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ffmpeg", type=Path)
    given = parser.parse_args(arguments)
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        for name, video in KINDS:
            out, copied = joined(name, video, Path(place))
            wanted = [picture_sha256(picture) for picture in decode_all(out)]
            hevc = video.codec == "libx265"
            got = by_libde265(out) if hevc else by_openh264(given.ffmpeg, out)
            wrong += got != wanted
            alike = sum(one == other for one, other in zip(got, wanted, strict=False))
            sys.stdout.write(
                f"{name} by {'libde265' if hevc else 'OpenH264'}: {len(wanted)} pictures, {copied}"
                f" copied; {len(got)} decoded, {alike} the same\n"
            )
            sys.stdout.flush()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
