"""What "fp32" means on a GPU."""

from __future__ import annotations

import torch


def full_fp32() -> None:
    """No TF32, PyTorch's own choice for convolutions on a GPU: it keeps 10 bits of fp32's 23."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
