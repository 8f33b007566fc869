"""How a trainer's process computes: precision and repeatability."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from simcore.training_loop import prepare_torch
from tests.simcore.builders import small_spec


@pytest.fixture
def pytorchs_own_choices(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("pytorchs_own_choices")
def test_fp32_is_no_tf32() -> None:
    prepare_torch(small_spec())
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.usefixtures("pytorchs_own_choices")
def test_a_gpu_is_asked_for_kernels_that_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # what is set here needs no GPU to be looked at
    prepare_torch(small_spec().model_copy(update={"device": "cuda"}))
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark
