import pytest
import torch

from aminet import precision
from aminet.precision import autocast_dtype


def test_cpus_without_native_bf16_stay_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    assert autocast_dtype("cpu") is None
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert autocast_dtype(torch.device("cpu")) is torch.bfloat16


def test_a_torch_without_the_probes_stays_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert autocast_dtype("cpu") is None


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_gpus_take_the_best_half_they_have(
    monkeypatch: pytest.MonkeyPatch, *, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(precision.torch.cuda, "is_bf16_supported", lambda *_: native)
    assert autocast_dtype("cuda") is dtype
