"""The feature networks, against figures of other implementations on the same small weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from aminet.errors import SideError, WeightsError
from aminet.judge.identity import Eyes, build_embedding, face_chips
from aminet.judge.judges import load_judges
from aminet.judge.lpips import build_lpips

CPU = torch.device("cpu")


def wave(side: int, phase: float) -> Tensor:
    t = torch.linspace(0, 6, side)
    planes = [
        0.5 + 0.4 * torch.sin(t[:, None] * (1 + k) + t[None] * (2 - k) + phase) for k in range(3)
    ]
    return torch.stack(planes)[None]


@pytest.mark.parametrize(
    ("network", "far", "near"),
    [
        ("alexnet", 0.9046476483345032, 0.2578746974468231),
        ("vgg16", 0.8424304723739624, 0.13419170677661896),
    ],
)
def test_lpips_is_what_it_is_elsewhere(
    network: str, far: float, near: float, request: pytest.FixtureRequest
) -> None:
    lpips = build_lpips(request.getfixturevalue(network))
    x = wave(64, 0.0)
    assert float(lpips(x, wave(64, 0.7))) == pytest.approx(far, rel=1e-4)
    assert float(lpips(x, x + 0.05)) == pytest.approx(near, rel=1e-4)
    assert float(lpips(x, x)) == 0


def test_lpips_compares_each_pair_by_itself(alexnet: dict[str, Tensor]) -> None:
    lpips = build_lpips(alexnet)
    x, y = torch.cat((wave(64, 0), wave(64, 1))), torch.cat((wave(64, 2), wave(64, 2.5)))
    alone = torch.cat([lpips(a, b) for a, b in zip(x.split(1), y.split(1), strict=True)])
    torch.testing.assert_close(lpips(x, y), alone)


def test_lpips_has_a_gradient_where_no_feature_answers(alexnet: dict[str, Tensor]) -> None:
    silent = {name: -t.abs() if "bias" in name else 0 * t for name, t in alexnet.items()}
    x = wave(64, 0).requires_grad_()
    build_lpips(silent)(x, wave(64, 1)).sum().backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_lpips_refuses_pictures_that_are_no_pair(alexnet: dict[str, Tensor]) -> None:
    lpips = build_lpips(alexnet)
    with pytest.raises(SideError, match=r"cannot compare \(1, 3, 64, 64\) with \(1, 3, 72, 72\)"):
        lpips(wave(64, 0), wave(72, 0))
    with pytest.raises(SideError, match="at least 32 px"):
        lpips(wave(24, 0), wave(24, 0))


def test_embeddings_are_what_they_are_elsewhere(embedding: dict[str, Tensor]) -> None:
    recorded = [-3.6775, -5.1221, -3.6445, -1.8705, 0.4991, -3.4603, 2.1010, -4.8852]
    recorded += [1.9022, 3.3150, -0.5908, -4.6304, -1.0022, -9.7884, -0.1826, -2.5475]
    got = build_embedding(embedding)(wave(150, 0.3))
    torch.testing.assert_close(got, torch.tensor([recorded]), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("side", [64, 128, 192, 256, 512])
@pytest.mark.parametrize("eyes", [Eyes(), Eyes(distance=38 / 128, row=50 / 128)])
def test_chips_have_the_eyes_where_the_embedding_wants_them(side: int, eyes: Eyes) -> None:
    # A spot on each eye, as large as a chip's pixel or a face's, whichever is larger.
    at = (torch.arange(side) + 0.5) / side
    spread = max(1.0, eyes.distance * side / 52.9) / side
    face = torch.zeros(1, 3, side, side)
    for x in (0.5 - eyes.distance / 2, 0.5 + eyes.distance / 2):
        distance = (at[None] - x).square() + (at[:, None] - eyes.row).square()
        face += torch.exp(-distance / (2 * spread**2))
    chip = face_chips(face, eyes)[0, 0]
    centre = torch.arange(150) + 0.5
    for half, x in ((chip[:, :75], 47.6), (chip[:, 75:], 100.5)):
        middles = centre[:75] if x < 75 else centre[75:]
        total = half.sum()
        assert float((half.sum(0) * middles).sum() / total) == pytest.approx(x, abs=0.25)
        assert float((half.sum(1) * centre).sum() / total) == pytest.approx(46.6, abs=0.25)


def test_files_are_told_apart_by_what_they_hold(
    feature_files: tuple[Path, Path], vgg16: dict[str, Tensor], tmp_path: Path
) -> None:
    lpips, embedding = feature_files
    judges = load_judges([embedding, lpips], CPU)
    assert judges.lpips is not None
    assert judges.lpips.on_alexnet
    assert judges.identity is not None
    assert load_judges([lpips], CPU).identity is None
    assert not any(p.requires_grad for p in judges.lpips.parameters())
    save_file(vgg16, tmp_path / "vgg.safetensors")
    with pytest.raises(WeightsError, match=r"vgg\.safetensors: two LPIPS were given"):
        load_judges([lpips, tmp_path / "vgg.safetensors"], CPU)


def test_files_of_something_else_are_refused(
    alexnet: dict[str, Tensor], embedding: dict[str, Tensor], tmp_path: Path
) -> None:
    file = tmp_path / "features.safetensors"
    with pytest.raises(WeightsError, match=r"no feature network at .*features\.safetensors"):
        load_judges([file], CPU)
    with pytest.raises(WeightsError, match="no feature network at"):
        load_judges([tmp_path], CPU)
    file.write_bytes(b"GIF89a, surely")
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        load_judges([file], CPU)
    foreign: list[tuple[dict[str, Tensor], str]] = [
        ({"stem.weight": torch.zeros(3)}, "neither LPIPS nor dlib's"),
        ({}, "neither LPIPS nor dlib's"),
        (_without(alexnet, "conv3.weight"), r"not LPIPS: conv3\.weight is no convolution"),
        (_without(alexnet, "conv2.bias"), r"1 of its tensors are missing \(conv2\.bias\)"),
        (alexnet | {"top": torch.zeros(1)}, r"1 are none of it \(top\)"),
        (alexnet | {"lin1.weight": torch.zeros(1, 5, 1, 1)}, r"lin1\.weight is \(1, 5, 1, 1\), ex"),
        (alexnet | {"conv1.weight": torch.zeros(6, 4, 3, 3)}, r"conv1\.weight is \(6, 4, 3, 3\)"),
        (_without(embedding, "fc"), "not dlib's face embedding: no fc"),
        (_without(embedding, "conv64_2/conv1.w"), "no conv64_2/conv1 in it"),
        (embedding | {"fc": torch.zeros(7, 16)}, r"fc is \(7, 16\), expected \(32, 16\)"),
    ]
    for tensors, message in foreign:
        save_file(tensors, file)
        with pytest.raises(WeightsError, match=message) as caught:
            load_judges([file], CPU)
        assert caught.value.path == str(file)


def _without(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key: tensor for key, tensor in tensors.items() if key != name}
