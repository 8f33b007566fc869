"""Students as files for elsewhere: safetensors for simcore, a torch.export program for PyTorch alone."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from simcore.checkpoint import write_atomically
from simcore.sampling import balanced_classes, one_hot, one_step
from simcore.students import METADATA_KEY, Student, StudentCard, card_path

TOLERANCE = 1e-5
_LARGEST_BATCH = 2**20
_TRACED_BATCH = 2
_CHECKED_BATCHES = (1, 5)  # both other than the traced one


class ExportError(ValueError):
    """A student cannot be exported; the message says why."""


def export_weights(student: Student, out: Path) -> None:
    """Write the weights as safetensors, the card in its metadata and beside it. The same student gives the same bytes.

    Raises OSError.
    """
    tensors = {name: value.contiguous() for name, value in student.generator.state_dict().items()}
    _write(out, save_tensors(tensors, {METADATA_KEY: _json(student.card)}), student.card)


def export_program(student: Student, out: Path) -> float:
    """Write the generator as a torch.export program, its card inside as card.json and beside it.

    The program takes unit-normal latents [B, C, H, W] and, where there are classes, one-hot labels [B, label_dim];
    any B. It is loaded again in a process without simcore and compared: returns the largest absolute difference of
    its images. Raises ExportError, nothing written, where that exceeds 1e-5; OSError.
    """
    module = _OneStep(student).eval()
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    inputs = _inputs(student, _TRACED_BATCH)
    program = torch.export.export(module, inputs, dynamic_shapes=({0: batch},) * len(inputs))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # holds paths of this machine
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={"card.json": _json(student.card)})
    difference = _difference_elsewhere(student, module, buffer.getvalue())
    if not difference <= TOLERANCE:
        raise ExportError(f"the exported program's images differ by {difference:g}, more than {TOLERANCE:g}")
    _write(out, buffer.getvalue(), student.card)
    return difference


class _OneStep(nn.Module):
    """g(z) with t* as a constant (B.4)."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.generator, self.init_sigma = student.generator, student.card.init_sigma

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return one_step(self.generator, latents, labels, self.init_sigma)


def _inputs(student: Student, count: int) -> tuple[Tensor, ...]:
    latents = torch.randn(count, *student.card.image_shape, generator=torch.Generator().manual_seed(count))
    labels = one_hot(balanced_classes(count, student.card.label_dim), student.card.label_dim)
    return (latents,) if labels is None else (latents, labels)


# What a user without simcore does.
_ELSEWHERE = """
import sys
sys.modules["simcore"] = None  # importing it fails
import torch
from safetensors.torch import load_file, save_file
torch.set_num_threads(int(sys.argv[2]))
program = torch.export.load("program.pt2").module()
for count in sys.argv[1].split(","):
    inputs = load_file(f"{count}.safetensors")
    save_file({"images": program(*(inputs[name] for name in sorted(inputs)))}, f"{count}.out.safetensors")
"""


def _difference_elsewhere(student: Student, module: nn.Module, program: bytes) -> float:
    """The largest absolute difference between the program's images in a fresh process and the module's here."""
    differences = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "program.pt2").write_bytes(program)
        for count in _CHECKED_BATCHES:
            tensors = {str(place): tensor for place, tensor in enumerate(_inputs(student, count))}
            save_file(tensors, folder / f"{count}.safetensors")
        counts = ",".join(map(str, _CHECKED_BATCHES))
        command = [sys.executable, "-c", _ELSEWHERE, counts, str(torch.get_num_threads())]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ExportError(f"the exported program does not run without simcore: {_last_line(done.stderr)}")
        for count in _CHECKED_BATCHES:
            with torch.no_grad():
                here = module(*_inputs(student, count))
            elsewhere = load_file(folder / f"{count}.out.safetensors")["images"]
            differences.append(float((elsewhere - here).abs().max()))
    return max(differences)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it gave no reason"])[-1]


def _json(card: StudentCard) -> str:
    return json.dumps(card.model_dump(mode="json"), sort_keys=True)


def _write(out: Path, content: bytes, card: StudentCard) -> None:
    """The file, then its card with the file's hash."""
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content)
    facts = {"file": out.name, "sha256": hashlib.sha256(content).hexdigest(), **card.model_dump(mode="json")}
    write_atomically(card_path(out), (json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode())
