"""`export`: a student's weights for use elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from simcore.commands.common import CommandError


def add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, required=True, help="a run's checkpoint, or an exported student")
    parser.add_argument(
        "--out", type=Path, required=True,
        help="NAME.safetensors for simcore, or NAME.pt2 (torch.export) for PyTorch alone; a JSON card goes beside it",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.set_defaults(command=run_export)


def run_export(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    if out.suffix not in (".safetensors", ".pt2"):
        raise CommandError(f"--out must name a .safetensors or a .pt2 file (given: {out})")
    if out.exists() and not arguments.force:
        raise CommandError(f"{out} is there already; --force replaces it")

    from simcore.export import export_program, export_weights
    from simcore.students import load_student

    student = load_student(arguments.checkpoint)
    if out.suffix == ".safetensors":
        export_weights(student, out)
        print(out)
    else:
        difference = export_program(student, out)
        print(f"{out}: largest absolute difference of its images, loaded without simcore: {difference:.2g}")
    return 0
