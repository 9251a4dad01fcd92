import math

import pytest
import torch

from aminet.errors import SideError
from aminet.judge.metrics import luma, psnr, ssim


def flat(value: float, side: int = 32) -> torch.Tensor:
    return torch.full((1, 3, side, side), value)


def test_luma_of_black_white_and_red_is_the_standards() -> None:
    red = flat(0.0)
    red[:, 0] = 1.0
    assert float(luma(flat(0.0), "lab").unique()) == 16
    assert float(luma(flat(1.0), "lab").unique()) == 235
    # 16 + 65.481 = 81.481 either way; green's 144.553 tells truncation from rounding.
    assert float(luma(red, "dic").unique()) == 81
    green = flat(0.0)
    green[:, 1] = 1.0
    assert float(luma(green, "lab").unique()) == 144
    assert float(luma(green, "dic").unique()) == 145


def test_dic_leaves_the_border_out_and_lab_does_not() -> None:
    x, spoilt = flat(0.5), flat(0.5)
    spoilt[..., :8, :] = 0.0
    assert math.isinf(float(psnr(spoilt, x, "dic")))
    assert float(psnr(spoilt, x, "lab")) < 20


def test_psnr_of_a_known_step() -> None:
    # Grey 100 against 110: luma 101.88 and 110.47, truncated to 101 and 110.
    a, b = flat(100 / 255), flat(110 / 255)
    assert float(psnr(a, b, "lab")) == pytest.approx(20 * math.log10(255 / 9))
    # Rounded to 102 and 110.
    assert float(psnr(a, b, "dic")) == pytest.approx(20 * math.log10(255 / 8))


def test_a_face_is_scored_by_itself() -> None:
    x = torch.rand(3, 3, 32, 32)
    y = (x + 0.05).clamp(0, 1)
    alone = torch.cat([psnr(a, b) for a, b in zip(x.split(1), y.split(1), strict=True)])
    assert torch.allclose(psnr(x, y), alone)


def test_ssim_of_flat_pictures_is_its_luminance_term() -> None:
    a, b = flat(100 / 255), flat(110 / 255)
    c1 = (0.01 * 255) ** 2
    expected = (2 * 101 * 110 + c1) / (101**2 + 110**2 + c1)
    assert float(ssim(a, b, "lab")) == pytest.approx(expected, abs=1e-9)


def test_ssim_is_one_for_equal_pictures_and_falls_with_noise() -> None:
    torch.manual_seed(0)
    x = torch.rand(1, 3, 40, 40)
    assert float(ssim(x, x)) == pytest.approx(1)
    weak = float(ssim(x + 0.05 * torch.randn_like(x), x))
    strong = float(ssim(x + 0.2 * torch.randn_like(x), x))
    assert 0 < strong < weak < 1


def test_ssim_agrees_with_a_plain_loop() -> None:
    torch.manual_seed(1)
    x, y = torch.rand(1, 3, 13, 13), torch.rand(1, 3, 13, 13)
    a, b = luma(x, "lab")[0].numpy(), luma(y, "lab")[0].numpy()
    import numpy as np

    g = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    window = np.outer(g, g) / g.sum() ** 2
    scores: list[float] = []
    for top in range(3):
        for left in range(3):
            p, q = a[top : top + 11, left : left + 11], b[top : top + 11, left : left + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            c1, c2 = 2.55**2, 7.65**2
            top_part = (2 * mp * mq + c1) * (2 * cov + c2)
            scores.append(float(top_part / ((mp**2 + mq**2 + c1) * (vp + vq + c2))))
    assert float(ssim(x, y)) == pytest.approx(sum(scores) / 9, abs=1e-9)


def test_shapes_must_be_equal() -> None:
    with pytest.raises(SideError, match="the shapes must be equal"):
        psnr(flat(0, 32), flat(0, 40))
