"""Which number format is native and fast on a device."""

import torch

__all__ = ["autocast_dtype"]


def autocast_dtype(device: torch.device | str) -> torch.dtype | None:
    """The type to hand to `torch.autocast`, or None to stay in fp32.

    Args:
        device: where the network runs.

    Returns:
        bf16 on GPUs and CPUs that compute in it, fp16 on older GPUs, else None: emulated
        half precision is slower than fp32.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16
    if device.type == "mps":
        return torch.float16
    if device.type == "cpu" and _cpu_computes_in_bf16():
        return torch.bfloat16
    return None


def _cpu_computes_in_bf16() -> bool:
    # Private, but torch has no public question for it; absent on some builds and platforms.
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        probe = getattr(torch.cpu, name, None)
        if probe is not None and bool(probe()):
            return True
    return False
