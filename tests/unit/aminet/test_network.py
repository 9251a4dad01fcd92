import itertools
from dataclasses import replace

import pytest
import torch

from aminet.cost import count_macs, count_parameters
from aminet.errors import SideError
from aminet.network import LGFI, PRESETS, SIDE_MULTIPLE, SKAF, AMINet, AMINetConfig, self_ensemble
from tests.support.faces import TINY


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (72, 64), (128, 128), (120, 184), (192, 192)]
)
def test_any_multiple_of_eight_gives_the_same_shape_back(
    tiny_network: AMINet, height: int, width: int
) -> None:
    x = torch.rand(2, 3, height, width)
    assert tiny_network(x).shape == x.shape


@pytest.mark.parametrize("side", [65, 100, 127, 56, 0])
def test_other_sides_are_refused_by_name(tiny_network: AMINet, side: int) -> None:
    with pytest.raises(SideError, match=rf"width is {side} px; expected a multiple of 8 px"):
        tiny_network(torch.rand(1, 3, 64, side))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 4, 64, 64)])
def test_other_shapes_are_refused(tiny_network: AMINet, shape: tuple[int, ...]) -> None:
    with pytest.raises(SideError, match=r"expected a .B, 3, H, W. tensor"):
        tiny_network(torch.rand(shape))


@pytest.fixture
def seeing() -> AMINet:
    """A network of 7 channels, random everywhere."""
    torch.manual_seed(1)
    network = AMINet(replace(TINY, in_channels=7))
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    return network.eval()


def test_a_history_changes_the_answer_and_is_not_part_of_it(seeing: AMINet) -> None:
    x = torch.rand(2, 7, 64, 72)
    other = x.clone()
    other[:, 3:] = torch.rand(2, 4, 64, 72)
    assert seeing(x).shape == (2, 3, 64, 72)
    assert not torch.allclose(seeing(x), seeing(other))
    # Added to the face at hand, not to the fused one.
    assert torch.equal(seeing(x), x[:, :3] + seeing.residual(x))


def test_a_photograph_is_its_own_history_of_no_weight(seeing: AMINet) -> None:
    photograph = torch.rand(2, 3, 64, 64)
    complete = torch.cat((photograph, photograph, torch.zeros(2, 1, 64, 64)), dim=1)
    assert torch.equal(seeing(photograph), seeing(complete))
    assert torch.equal(
        self_ensemble(seeing.residual, photograph), self_ensemble(seeing.residual, complete)
    )


def test_networks_without_history_refuse_one(tiny_network: AMINet, seeing: AMINet) -> None:
    with pytest.raises(SideError, match=r"expected a .B, 3, H, W. tensor, got .1, 7, 64, 64."):
        tiny_network(torch.rand(1, 7, 64, 64))
    with pytest.raises(SideError, match=r"expected a .B, 3 or 7, H, W. tensor"):
        seeing(torch.rand(1, 4, 64, 64))


def test_the_declared_multiple_is_the_smallest_that_works(tiny_network: AMINet) -> None:
    works = [side for side in range(64, 97) if _takes(tiny_network, side)]
    steps = {b - a for a, b in itertools.pairwise(works)}
    assert steps == {SIDE_MULTIPLE}


def _takes(network: AMINet, side: int) -> bool:
    try:
        network(torch.rand(1, 3, side, side))
    except SideError:
        return False
    return True


def test_a_padded_side_restores_as_its_neighbours_do(tiny_network: AMINet) -> None:
    """72 px is padded to 96 inside: the crop must be taken from the right corner."""
    x = torch.rand(1, 3, 1, 1).expand(1, 3, 72, 72).contiguous()
    y = tiny_network.residual(x)
    padded = torch.nn.functional.pad(x, (0, 24, 0, 24), mode="replicate")
    assert torch.allclose(y, tiny_network.residual(padded)[..., :72, :72], atol=1e-5)


def test_forward_adds_the_residual(tiny_network: AMINet) -> None:
    x = torch.rand(2, 3, 64, 64)
    residual = tiny_network.residual(x).detach()
    assert float(residual.abs().max()) > 1e-4
    assert torch.equal(tiny_network(x), x + residual)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_an_untrained_network_is_the_identity(preset: str) -> None:
    x = torch.rand(1, 3, 64, 64)
    assert torch.equal(AMINet(PRESETS[preset])(x), x)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_gradient_reaches_every_parameter(preset: str) -> None:
    torch.manual_seed(0)
    network = AMINet(PRESETS[preset])
    # What starts silent would hide what lies before it.
    for p in network.parameters():
        if not bool(p.any()):
            torch.nn.init.normal_(p, std=0.05)
    x = torch.rand(1, 3, 64, 64)
    (network(x) - torch.rand(1, 3, 64, 64)).square().sum().backward()
    without = [
        name
        for name, p in network.named_parameters()
        if p.grad is None or not bool(p.grad.abs().max() > 0)
    ]
    assert without == []


def test_a_face_does_not_depend_on_its_batch(tiny_network: AMINet) -> None:
    x = torch.rand(5, 3, 64, 64)
    with torch.inference_mode():
        alone = torch.cat([tiny_network(face) for face in x.split(1)])
        assert torch.allclose(tiny_network(x), alone, atol=1e-4)


def test_the_self_ensemble_does_not_know_left_from_right(tiny_network: AMINet) -> None:
    x = torch.rand(2, 3, 64, 72)
    with torch.inference_mode():
        both = self_ensemble(tiny_network.residual, x)
        assert torch.allclose(
            self_ensemble(tiny_network.residual, x.flip(-1)).flip(-1), both, atol=1e-6
        )
        assert not torch.allclose(tiny_network.residual(x), both, atol=1e-4)


def test_memory_format_changes_nothing(tiny_network: AMINet) -> None:
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        y = tiny_network(x.contiguous(memory_format=torch.channels_last))
        assert torch.allclose(y, tiny_network(x), atol=1e-5)


def test_bf16_autocast_stays_close(tiny_network: AMINet) -> None:
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        exact = tiny_network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = tiny_network(x)
    assert float((rough.float() - exact).abs().max()) < 0.02


def test_counts_of_a_known_convolution() -> None:
    layer = torch.nn.Conv2d(3, 5, 3, padding=1)
    assert count_parameters(layer) == 5 * 3 * 9 + 5
    assert count_macs(layer, 16) == 5 * 3 * 9 * 16 * 16


def test_a_wider_stem_costs_a_quarter_but_for_its_ends() -> None:
    # Stem and tail map 3 colours of every pixel to 16 channels with 3x3 kernels, at any factor.
    ends = 2 * 3 * 128 * 128 * 16 * 9
    at_half = count_macs(AMINet(AMINetConfig(width=16, stem_factor=2)), 128) - ends
    at_quarter = count_macs(AMINet(AMINetConfig(width=16, stem_factor=4)), 128) - ends
    assert at_half / at_quarter == pytest.approx(4, rel=0.01)


def test_a_block_without_heads_is_local() -> None:
    """Changing one corner must not change the other, as it would through channel attention's mean:
    the one part of RDFE that sees the whole picture is held at its neutral value."""
    block = LGFI(16, heads=0)
    torch.nn.init.zeros_(block.rdfe.attention.excite.weight)
    x = torch.rand(1, 16, 32, 32)
    with torch.inference_mode():
        local = block.rdfe(x)
        x[..., 0, 0] += 1
        changed = (block.rdfe(x) != local).nonzero()
    assert block.mdta is None
    assert block.skaf is None
    assert int(changed[:, 2:].max()) == 2, "two chained 3x3 convolutions see 2 px to each side"


def test_untrained_attention_is_silent_and_gates_are_one() -> None:
    block = LGFI(16, heads=2)
    assert block.mdta is not None
    x = torch.rand(2, 16, 32, 32)
    with torch.inference_mode():
        assert not bool(block.mdta(x).any())
        gate = block.rdfe.attention(x) / x
    assert float(gate.min()) > 0.6
    assert float(gate.max()) < 1.4


def test_skaf_selects_with_weights_of_mean_one() -> None:
    skaf = SKAF((8, 8, 8), 8)
    x = torch.rand(2, 8, 16, 16)
    with torch.inference_mode():
        # Whatever it selects, three times the same feature is three times that feature.
        assert torch.allclose(skaf(x, x, x), 3 * x, atol=1e-5)


def test_it_exports(tiny_network: AMINet) -> None:
    x = torch.rand(2, 3, 64, 64)
    program = torch.export.export(tiny_network, (x,))
    assert torch.allclose(program.module()(x), tiny_network(x), atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")  # torch's own
def test_it_compiles(tiny_network: AMINet) -> None:
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        compiled = torch.compile(tiny_network)
        assert torch.allclose(compiled(x), tiny_network(x), atol=1e-4)


def test_widths_double_and_stay_at_four(tiny_network: AMINet) -> None:
    ups = tiny_network.ups
    refined = [up.get_submodule("refine").get_parameter("weight") for up in ups]
    assert [weight.shape[0] for weight in refined] == [8, 16, 32]
    assert tiny_network.stem.in_channels == 3 * tiny_network.config.stem_factor**2
