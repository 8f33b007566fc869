"""What limits one SIM iteration of CIFAR-10's 55.7 M-parameter DDPM++, with and without each speed option.

    python tests/bench/step.py [--batch 8] [--repeats 2] [--only NAME ...]

Each variant runs in a process of its own. Printed: FLOPs counted by PyTorch, also in forwards of one image;
seconds of the median iteration; its rate as a share of a 2048³ float32 matrix product's, which is measured before and
after every iteration in the same process; peak memory. Only the shares compare between machines.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

VARIANTS: dict[str, dict[str, Any]] = {
    "as Algorithm 2": {},
    "share_samples": {"share_samples": True},
    "channels_last": {"channels_last": "on"},
    "compile": {"compile": "on"},
    "bf16": {"precision": "bf16"},
    "bf16, channels_last": {"precision": "bf16", "channels_last": "on"},
    "gradient_checkpointing": {"gradient_checkpointing": True},
    "accumulation 4": {"accumulation": 4},
}
MATRIX = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--child", choices=VARIANTS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(VARIANTS[arguments.child], arguments.batch, arguments.repeats)))
        return
    print("| variant | forwards an image | GFLOP an image | s an iteration | share of the product's rate | peak, GiB |")
    print("|---|---|---|---|---|---|")
    for name in arguments.only:
        options = ["--batch", str(arguments.batch), "--repeats", str(arguments.repeats)]
        child = subprocess.run([sys.executable, __file__, "--child", name, *options], capture_output=True, text=True)
        if child.returncode:
            print(f"| {name} | failed: {child.stderr.strip().splitlines()[-1]} |", flush=True)
            continue
        found = json.loads(child.stdout.splitlines()[-1])
        print(
            f"| {name} | {found['forwards']:.2f} | {found['gflop']:.0f} | {found['seconds']:.1f} "
            f"| {found['share']:.0%} | {found['peak']:.1f} |",
            flush=True,
        )


def measure(performance: dict[str, Any], batch: int, repeats: int) -> dict[str, float]:
    """One variant's figures. The first iteration is not timed."""
    import torch

    from simcore.teacher_card import TeacherCard
    from simcore.teachers import build_denoiser

    torch.manual_seed(0)
    teacher = build_denoiser(DDPMPP).eval().requires_grad_(False)
    parameters = sum(p.numel() for p in teacher.parameters())
    card = TeacherCard(
        name="cifar10", title="DDPM++, fresh weights", description="", dataset="cifar10", licence="", source="",
        parameters=parameters, sha256="0" * 64, config=DDPMPP,
    )  # fmt: skip
    forwards, flops = count(card, teacher, performance)
    run = distillation(card, teacher, performance, batch)
    run.advance()
    shares, seconds = [], []
    for _ in range(repeats):
        before = product_rate(run.device)
        began = time.perf_counter()
        run.advance()
        seconds.append(time.perf_counter() - began)
        rate = (before + product_rate(run.device)) / 2
        shares.append(batch * flops / seconds[-1] / rate)
    on_gpu = run.device.type == "cuda"
    peak = torch.cuda.max_memory_allocated() if on_gpu else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "forwards": forwards,
        "gflop": flops / 1e9,
        "seconds": statistics.median(seconds),
        "share": statistics.median(shares),
        "peak": peak / 2**30,
    }


def distillation(card: Any, teacher: Any, performance: dict[str, Any], batch: int) -> Any:
    """With every switch off that is not asked for."""
    from simcore.config import RunSpec
    from simcore.distillation import Distillation
    from simcore.resolve import resolve
    from simcore.trainer import prepare_torch

    plain = {"batch_size": batch, "performance": {"compile": "off", "channels_last": "off"} | performance}
    spec = resolve(RunSpec.model_validate(plain), card)
    prepare_torch(spec)
    return Distillation(spec, card, teacher)


def count(card: Any, teacher: Any, performance: dict[str, Any]) -> tuple[float, float]:
    """(forwards an image, FLOPs an image) of one iteration; compilation leaves them as they are."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    batch = performance.get("accumulation", 1)
    run = distillation(card, teacher, performance | {"compile": "off"}, batch)
    with FlopCounterMode(display=False) as one, torch.no_grad():
        run.teacher(torch.zeros(1, 3, 32, 32, device=run.device), torch.ones(1, device=run.device))
    with FlopCounterMode(display=False) as iteration:
        run.advance()
    flops = iteration.get_total_flops() / batch
    return flops / one.get_total_flops(), flops


# EDM's unconditional CIFAR-10 teacher, as its checkpoint says.
DDPMPP: dict[str, Any] = {
    "preconditioning": "EDMPrecond",
    "model_type": "SongUNet",
    "img_resolution": 32,
    "img_channels": 3,
    "label_dim": 0,
    "augment_dim": 9,
    "model_channels": 128,
    "channel_mult": [2, 2, 2],
    "channel_mult_emb": 4,
    "num_blocks": 4,
    "attn_resolutions": [16],
    "embedding_type": "positional",
    "encoder_type": "standard",
    "decoder_type": "standard",
    "resample_filter": [1, 1],
    "channel_mult_noise": 1,
}


def product_rate(device: Any) -> float:
    """FLOP/s of a float32 matrix product of 2048³, the best of four rounds of five."""
    import torch

    a, b = (torch.randn(MATRIX, MATRIX, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        for _ in range(5):
            a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return 5 * 2 * MATRIX**3 / best


if __name__ == "__main__":
    main()
