"""`draw`: single images, each from its own request. The same request gives the same image whatever else is drawn."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, TypeAdapter, ValidationError

from simcore.commands.common import CommandError
from simcore.commands.piped import run_piped
from simcore.config import Spec
from simcore.control import Control, NoControl
from simcore.events import Event, Finished, Metrics, Started, Stopped

if TYPE_CHECKING:
    from simcore.evaluation import SamplingSource

MOST_REQUESTS = 10_000


class DrawRequest(Spec):
    """One image: `name`.png from a teacher (reference) or a student (path of a checkpoint or an exported file)."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,60}$")
    source: str = Field(min_length=1)
    label: int | None = Field(None, ge=0, description="the class; none for a source without classes")
    seed: int = Field(ge=0, lt=2**63)
    steps: int = Field(18, ge=1, le=1_000, description="of Heun's method; a student takes one step")


_requests: TypeAdapter[list[DrawRequest]] = TypeAdapter(list[DrawRequest])


def add_draw(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=Path, required=True, help="JSON: [{name, source, label, seed, steps}, …]")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the PNG files")
    parser.add_argument("--pipe", action="store_true", help="events on stdout, requests on stdin; ends with it")
    parser.set_defaults(command=run_draw)


def run_draw(arguments: argparse.Namespace) -> int:
    requests = read_requests(arguments.requests)
    if arguments.pipe:
        return run_piped(partial(_events, requests, arguments.out))
    for event in _events(requests, arguments.out, NoControl()):
        if isinstance(event, Finished):
            print(f"{len(requests)} images in {arguments.out}")
    return 0


def read_requests(path: Path) -> list[DrawRequest]:
    """What the file asks for. Raises CommandError where it is malformed, or names an image twice."""
    try:
        requests = _requests.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        raise CommandError(f"{path}, at {'.'.join(map(str, first['loc'])) or 'its start'}: {first['msg']}") from None
    if not 1 <= len(requests) <= MOST_REQUESTS:
        raise CommandError(f"{path} asks for {len(requests)} images; it should be 1 to {MOST_REQUESTS}")
    if len({request.name for request in requests}) < len(requests):
        raise CommandError(f"{path} names an image twice")
    return requests


def _events(requests: list[DrawRequest], out: Path, control: Control) -> Iterator[Event]:
    """One event an image; source by source, so that each is loaded once."""
    yield Started(step=0, total_steps=len(requests), device="cpu")
    out.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    ordered = sorted(requests, key=lambda request: (request.source, request.steps))
    for (reference, steps), group in groupby(ordered, key=lambda request: (request.source, request.steps)):
        source = _open(reference, steps)
        for request in group:
            if (asked := control.poll()) in ("pause", "cancel"):
                yield Stopped(step=len(images), reason="pause" if asked == "pause" else "cancel")
                return
            images.append(_draw(source, request, out))
            yield Metrics(step=len(images), values={"images": len(images)})
    yield Finished(step=len(images), summary={"images": images})


def _open(reference: str, steps: int) -> SamplingSource:
    from simcore.point_sets import POINT_SHAPE
    from simcore.students import load_source

    _, source = load_source(reference, steps)
    if source.shape == POINT_SHAPE or source.shape[0] not in (1, 3):
        raise CommandError(f"{reference} draws points in the plane, not images")
    return source


def _draw(source: SamplingSource, request: DrawRequest, out: Path) -> dict[str, Any]:
    """Write the image as RGB PNG. One at a time: sums in a batch round differently with its size."""
    import torch

    from simcore.images import to_rgb_png
    from simcore.sampling import one_hot
    from simcore.seeds import generator_for

    if (request.label is None) != (source.label_dim == 0) or (request.label or 0) >= max(source.label_dim, 1):
        has = f"takes a class from 0 to {source.label_dim - 1}" if source.label_dim else "has no classes"
        raise CommandError(f"{request.name}: {request.source} {has} (given: {request.label})")
    latents = torch.randn(1, *source.shape, generator=generator_for(request.seed, "draw"))
    labels = None if request.label is None else one_hot(torch.tensor([request.label]), source.label_dim)
    with torch.no_grad():
        image = source.sample(latents.to(source.device), labels if labels is None else labels.to(source.device))[0]
    content = to_rgb_png(image)
    (out / f"{request.name}.png").write_bytes(content)
    return {
        "name": request.name,
        "sha256": sha256(content).hexdigest(),
        "width": image.shape[2],
        "height": image.shape[1],
        "nfe": source.nfe,
        "sampler": "one step" if request.source.endswith(".safetensors") else f"Heun, {request.steps} steps",
    }
