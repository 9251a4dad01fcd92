import math

import numpy as np
import pytest
import torch
from PIL import Image

from aminet.data.burst import BurstSettings, compress_burst
from aminet.data.degrade import (
    CameraRanges,
    Coding,
    bicubic_degrade,
    camera_degrade,
    camera_small,
    resize,
)
from aminet.data.kernels import blur, gaussian_kernels, kernel_side, motion_kernels
from tests.support.faces import paint_face


def faces(count: int, side: int = 128) -> torch.Tensor:
    levels = np.stack([np.asarray(paint_face(seed, side)) for seed in range(count)])
    return torch.from_numpy(levels).permute(0, 3, 1, 2).to(torch.float32) / 255


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("side", [16, 32, 100])
def test_resize_is_pils_bicubic_within_a_level(side: int) -> None:
    image = paint_face(3)
    expected = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).astype(int)
    got = (resize(faces(4)[3:], side)[0].permute(1, 2, 0) * 255).round().numpy().astype(int)
    assert np.abs(got - expected).max() <= 1


def test_bicubic_degradation_keeps_the_size_and_loses_detail() -> None:
    hr = faces(2)
    mild, strong = bicubic_degrade(hr, 64), bicubic_degrade(hr, 16)
    assert mild.shape == strong.shape == hr.shape
    assert float((mild - hr).abs().mean()) < float((strong - hr).abs().mean())


@pytest.mark.parametrize("coding", ["none", "jpeg", "video"])
def test_the_camera_is_decided_by_its_seed(coding: Coding) -> None:
    hr = faces(2)
    first, again, other = (camera_degrade(hr, seeded(s), coding=coding) for s in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("seed", range(12))
def test_the_camera_gives_pictures_of_the_same_size_in_range(seed: int) -> None:
    hr = faces(2)
    y = camera_degrade(hr, seeded(seed))
    assert y.shape == hr.shape
    assert float(y.min()) >= 0
    assert float(y.max()) <= 1
    assert bool(torch.isfinite(y).all())
    assert torch.allclose(y * 255, (y * 255).round(), atol=1e-3)
    # Poor, but still the same picture.
    assert 0 < float((y - hr).abs().mean()) < 0.25


@pytest.mark.parametrize(("factor", "side"), [(2.0, 64), (4.0, 32), (8.0, 16), (100.0, 8)])
def test_the_factor_is_the_net_reduction(factor: float, side: int) -> None:
    assert camera_small(faces(1), seeded(0), factor=factor).shape[-1] == side


def test_a_face_without_a_track_is_the_last_frame_of_a_burst() -> None:
    """The frames before it are shifted; it is not."""
    quiet = CameraRanges(sharp_share=1.0, noise=0.0, crf=(23, 23), mpeg4_quantiser=(3, 3))
    hr = faces(1)
    for seed in range(6):
        small = camera_small(hr, seeded(seed), factor=2.0, coding="video", ranges=quiet)
        there = float((small - resize(hr, 64)).abs().mean())
        for shift in ((0, 2), (2, 0), (0, -2), (-2, 0)):
            moved = resize(hr, 64).roll(shift, dims=(2, 3))
            assert there < float((small - moved).abs().mean())


def test_the_camera_does_not_touch_its_input() -> None:
    hr = faces(1)
    before = hr.clone()
    camera_degrade(hr, seeded(5), coding="video")
    assert torch.equal(hr, before)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_burst_comes_back_compressed_and_the_same_each_time(codec: str) -> None:
    frames = np.stack([np.asarray(paint_face(0, 40)).copy()] * 3)
    frames[1] = np.roll(frames[1], 1, axis=1)
    quality = {"libx264": (20, 40), "mpeg4": (2, 20)}[codec]
    good, poor = (
        compress_burst(frames, BurstSettings(codec, q))  # pyright: ignore[reportArgumentType]
        for q in quality
    )
    again = compress_burst(frames, BurstSettings(codec, quality[1]))  # pyright: ignore[reportArgumentType]
    assert good.shape == frames.shape
    assert good.dtype == np.uint8
    assert np.array_equal(poor, again)
    errors = [np.abs(x.astype(int) - frames).mean() for x in (good, poor)]
    assert 0 < errors[0] < errors[1] < 40


def test_blur_is_a_convolution_with_each_pictures_own_kernel() -> None:
    torch.manual_seed(0)
    x, k = torch.rand(2, 3, 20, 17), torch.rand(2, 5, 5)
    k = k / k.sum(dim=(1, 2), keepdim=True)
    padded = torch.nn.functional.pad(x, (2, 2, 2, 2), mode="reflect")
    for i in range(2):
        # conv2d correlates: a convolution has the kernel turned by 180 degrees.
        weight = k[i].flip(0, 1)[None, None]
        expected = torch.nn.functional.conv2d(padded[i][:, None], weight)[:, 0]
        assert torch.allclose(blur(x, k)[i], expected, atol=1e-5)


def test_kernels_sum_to_one_and_point_where_they_should() -> None:
    quarter = torch.tensor([math.pi / 2])
    tall = gaussian_kernels(torch.tensor([3.0]), torch.tensor([0.5]), quarter, 15)[0]
    assert float(tall.sum()) == pytest.approx(1, abs=1e-5)
    assert float(tall[:, 7].sum()) > 0.6
    assert float(tall[7].sum()) < 0.3
    path = motion_kernels(torch.tensor([9.0]), torch.tensor([0.0]), 13)[0]
    assert float(path.sum()) == pytest.approx(1, abs=1e-5)
    assert int((path[6] > 0.05).sum()) == 9
    assert float(path[6].sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("sigma", "side"), [(0.2, 3), (1.0, 7), (4.0, 21), (50.0, 21)])
def test_kernels_hold_three_deviations(sigma: float, side: int) -> None:
    assert kernel_side(sigma) == side
