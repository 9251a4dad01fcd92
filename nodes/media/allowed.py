"""Opening media with libav, restricted to allowed formats and protocols, and with a timeout.

libav detects hundreds of formats by content, whatever the file's name. Some are playlists that make
it open further files and addresses (HLS, DASH, ffconcat, SDP), some render any text as pictures,
and some are devices. Here a file is opened only with demuxers of self-contained formats and the
file protocol. A playlist is opened only from a URL with its suffix, and may use network protocols
only, and addresses no further inside than its own (`nodes.media.web_guard`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from nodes.errors import MediaError
from nodes.media.urls import file_url, is_url
from nodes.media.web_guard import proxy_options

__all__ = ["allowing", "open_allowed"]

FILE_TIMEOUT_S: Final = (60.0, 120.0)
"""Timeouts for opening a file and for reading one packet, s: for disks that hang and demuxers that
do not end."""

NETWORK_TIMEOUT_S: Final = (30.0, 60.0)
"""The same for URLs."""

_FORMATS: Final = frozenset(
    """3dostr 4xm aac ac3 ac4 aiff alias_pix amr amv anm apng apv asf asf_o av1 avi avs avs2 avs3
    bethsoftvid bfi bink bmv brender_pix c93 caf cavsvideo cdxl cine dhav dirac dnxhd dts dv dxa ea
    eac3 evc film_cpk filmstrip flac flic flv frm fsb gif gxf h261 h263 h264 hevc hnm idcin iff ifv
    image2 image2pipe ingenient ipmovie ipu iv8 ivf ivr jpegxl_anim jv kux lmlm4 lvf lxf m4v
    matroska mgsts mjpeg mjpeg_2000 mlv mm moflex mov mp3 mpeg mpegts mpegtsraw mpegvideo mpjpeg
    msnwctcp mtv mv mvi mxf nc nsv nut nuv obu ogg paf pdv pmp psxstr pva r3d rl2 rm roq rpl ser
    sga siff simbiosis_imx smjpeg smk smush swf thp tiertexseq tmv ty usm vc1 vc1test vividas vivo
    vmd vvc w64 wav wc3movie wtv wv xmv yop yuv4mpegpipe""".split()  # noqa: SIM905 - easier to read
)
"""Demuxers of self-contained formats, besides those of single pictures."""

_PICTURES: Final = frozenset(
    f"{name}_pipe"
    for name in """bmp cri dds dpx exr gem gif hdr j2k jpeg jpegls jpegxl jpegxs pam pbm pcx pfm pgm
    pgmyuv pgx phm photocd pictor png ppm psd qdraw qoi sgi sunrast tiff vbn webp xbm xpm xwd
    """.split()  # noqa: SIM905 - easier to read
)

_LISTS: Final = {"m3u8": {"hls", "webvtt"}, "mpd": {"dash", "webvtt"}, "sdp": {"sdp"}}
"""Demuxers for playlists, by the suffix of the URL."""

_WEB: Final = "http,https,tcp,tls,httpproxy,crypto"
_RTMP: Final = "rtmp,rtmpe,rtmps,rtmpt,rtmpte,rtmpts,tcp,tls,http,https"
_RTP: Final = "rtp,srtp,udp"
_RTSP: Final = f"{_RTP},tcp,tls,http,https"
_PROTOCOLS: Final = {
    "ftp": "ftp,tcp",
    "http": _WEB,
    "https": _WEB,
    "rtmp": _RTMP,
    "rtmps": _RTMP,
    "rtp": _RTP,
    "rtsp": _RTSP,
    "rtsps": _RTSP,
    "sftp": "sftp",
    "srt": "srt",
    "srtp": _RTP,
    "tcp": "tcp",
    "tls": "tls,tcp",
    "udp": "udp",
}
"""Protocols that may be used, by the scheme of the URL."""
_ONE_FILE: Final = {"pattern_type": "none"}
"""Keeps the image2 demuxer from reading `a0.png` in place of a file named `a%d.png`."""

_STREAMED: Final = {"rtsp": {"rtsp"}, "rtsps": {"rtsp"}, "rtp": {"rtp"}, "srtp": {"rtp"}}
"""Demuxers of schemes that need their own."""


def allowing(formats: Iterable[str], protocols: str) -> dict[str, str]:
    """Return container options that restrict libav to demuxers and protocols, also nested ones.

    Args:
        formats: names of demuxers.
        protocols: names, separated by commas.
    """
    return {"format_whitelist": ",".join(sorted(formats)), "protocol_whitelist": protocols}


def open_allowed(
    source: str,
    *,
    demuxer: str | None = None,
    options: Mapping[str, str] | None = None,
    hwaccel: HWAccel | None = None,
) -> InputContainer:
    """Open a file, a pipe such as `pipe:0`, or a URL for reading.

    Metadata that is not UTF-8 is decoded with surrogate escapes, to be written back unchanged.

    Args:
        source: path or URL; text without a scheme and `://` at the start is a path.
        demuxer: libav's name, None to let libav detect it.
        options: options of the demuxer.
        hwaccel: the device to decode with; None: the CPU.

    Raises:
        MediaError: the scheme of the URL is not allowed.
        FFmpegError: it cannot be read in an allowed format.
    """
    formats, protocols, timeout_s = _FORMATS | _PICTURES, "file", FILE_TIMEOUT_S
    more = dict[str, str]()
    if source.startswith("pipe:") and is_url(source):
        # No timeout for pipes, which wait for their writer.
        protocols, timeout_s = "pipe", None
    elif is_url(source):
        scheme = source.partition("://")[0].lower()
        if scheme not in _PROTOCOLS:
            known = ", ".join(sorted(_PROTOCOLS))
            raise MediaError(f"{source}: expected a file, or a URL of one of {known}")
        suffix = urlsplit(source).path.rpartition(".")[2].lower()
        formats = formats | _STREAMED.get(scheme, set[str]()) | _LISTS.get(suffix, set[str]())
        protocols, timeout_s = _PROTOCOLS[scheme], NETWORK_TIMEOUT_S
        more = proxy_options(source)
    if demuxer is None:
        more |= _ONE_FILE
    return av.open(
        source if is_url(source) else file_url(source),
        "r",
        format=demuxer,
        options=dict(options or {}),
        container_options=allowing(formats, protocols) | more,
        metadata_errors="surrogateescape",
        timeout=timeout_s,
        hwaccel=hwaccel,
    )
