"""Which options of encoders a configuration may set: none that names a file.

Encoders take hundreds of options, and some of those write or read files (x264's `dump-yuv`, `stats`
and `qpfile`, x265's `csv` and `recon`, libaom's film grain table). A configuration says how a video
looks, not what else is on the disk. So only what is listed here may be set, and a new one is added
here when it is known to name no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nodes.errors import NodeConfigError

__all__ = ["check_options"]

_OPTIONS: Final = frozenset(
    """
    a53cc alpha_bits alpha_quality alt-ref-noise aq-mode aq-strength aq_mode arnr-maxframes
    arnr-strength aud auto-alt-ref avcintra-class b b-pyramid b_ref_mode b_sensitivity
    b_strategy bf bits_per_mb bluray-compat bufsize cbp cbr chromaoffset coder
    compression_level context cplxblur cpu-used cq crf crf_max cropdetect deadline deblock
    denoise-noise-level direct-pred dpb_size enable-cdef enable-restoration error-resilience
    fast-pskip fastfirstpass forced-idr forced_idr g idct init_qpB init_qpI init_qpP
    intra-refresh intra_vlc keyint_min lag-in-frames level lossless maxrate mbcmp mbd
    mbs_per_slice mbtree me_method me_range minrate mixed-refs motion-est multipass nal-hrd
    noise-sensitivity noise_reduction nonref_p open_gop partitions pred preset profile psy
    psy-rd qblur qcomp qdiff qmax qmin qp quality rc rc-lookahead refs row-mt sc_threshold
    sharpness slice-max-size slicecrc slices spatial-aq spatial_aq speed ssim static-thresh
    strict_gop subq surfaces temporal-aq temporal_aq tier tile-columns tile-rows tiles
    trellis tune udu_sei undershoot-pct overshoot-pct usage vendor weightb weightp
    zerolatency
    """.split()  # noqa: SIM905
)

_WORDS: Final = frozenset(
    """
    8x8dct aq-bias-strength aq-mode aq-motion aq-strength asm aud b-adapt b-bias b-intra
    b-pyramid bframe-bias bframes bitrate bluray-compat cabac cbqpoffs chroma-loc
    chroma-qp-offset chromaloc chromatix cll colormatrix colorprim constrained-intra
    content-light cqp crf crf-max crqpoffs ctu cutree dct-decimate deadzone-inter
    deadzone-intra deblock direct early-skip enable-cdef enable-dlf enable-overlays
    enable-qm enable-restoration enable-tf fast-decode fast-intra fast-pskip film-grain
    film-grain-denoise force-cfr frame-threads gop-lookahead hdr10 hdr10-opt
    hierarchical-levels high-tier hrd info interlace intra-refresh ipratio irefresh-type
    keyint level level-idc limit-modes limit-refs limit-sao limit-tu lookahead
    lookahead-slices lookahead-threads lossless lp mastering-display master-display max-cll
    max-merge max-qp max-tu-size mbtree me merange min-cu-size min-keyint min-qp mixed-refs
    mode-decision nal-hrd nr nr-inter nr-intra open-gop overscan partitions pbratio
    pic-struct pin pmode pools preset profile psy psy-rd psy-rdoq qblur qcomp qg-size qm-max
    qm-min qp qpmax qpmin qpstep range rc rc-lookahead rd rdoq-level rdpenalty rect ref
    refine-mv repeat-headers rskip sao sao-non-deblock sar scd scenecut scm selective-sao
    sharpness signhide slices slow-firstpass sliced-threads splitrd-skip ssim-rd
    strong-intra-smoothing subme sync-lookahead tbr temporal-layers temporal-mvp threads
    tile-columns tile-rows transfer trellis tskip tskip-fast tu-inter-depth tu-intra-depth
    tune uhd-bd variance-boost-strength vbv-bufsize vbv-init vbv-maxrate videoformat
    wavefront weightb weightp wpp amp cu-lossless rdoq
    """.split()  # noqa: SIM905
)
"""What may stand in x264's, x265's and SVT-AV1's own lists of words, also behind `no-`."""

_LISTS: Final = frozenset({"x264-params", "x264opts", "x265-params", "svtav1-params"})


def check_options(options: Mapping[str, str]) -> None:
    """Make sure that a configuration sets nothing that could name a file.

    Args:
        options: of an encoder, as a configuration has them.

    Raises:
        NodeConfigError: one is not known to be harmless.
    """
    for name, value in options.items():
        if name in _LISTS:
            for word in filter(None, value.split(":")):
                key = word.partition("=")[0].strip().replace("_", "-").lower()
                if key not in _WORDS and key.removeprefix("no-") not in _WORDS:
                    raise _refusal(f"{name}: {key!r}")
        elif name not in _OPTIONS:
            raise _refusal(repr(name))


def _refusal(what: str) -> NodeConfigError:
    return NodeConfigError(
        f"encode.options: {what} may not be set here: only options that name no file are allowed,"
        " see nodes/encode/allowed_options.py; leave it out"
    )
