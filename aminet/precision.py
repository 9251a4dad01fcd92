"""Choosing the number format that a device computes in fastest."""

import torch

__all__ = ["autocast_dtype"]


def autocast_dtype(device: torch.device | str) -> torch.dtype | None:
    """Return the dtype for `torch.autocast`, or None for fp32.

    Args:
        device: where the network runs.

    Returns:
        bf16 on GPUs and CPUs with native bf16, fp16 on older GPUs, else None, because emulated
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
    # torch has no public function for this; the private one is missing in some builds.
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        probe = getattr(torch.cpu, name, None)
        if probe is not None and bool(probe()):
            return True
    return False
