"""Labels of the EDM/StyleGAN layout: `dataset.json` with {"labels": [["00000/img00000000.png", 6], …]} or null."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

LABELS_FILE = "dataset.json"
_EDM_NAME = re.compile(r"\d{5}/img\d{8}\.\w+")
MAX_LABELS_FILE = 256 << 20  # bytes; ImageNet's 1.28 million labels take some 50 MB


class BadLabels(ValueError):
    """Why the labels do not fit, in one line."""


def parse_labels(content: bytes, images: Sequence[str]) -> Tensor | None:
    """Class numbers [N] in the order of `images`, or None where the file says that there are none.

    Every image needs one label, an integer; the classes are 0 … K − 1, each with an image. Raises BadLabels.
    """
    found = _by_name(_entries(content))
    if found is None:
        return None
    known = set(images)
    if strangers := [name for name in found if name not in known]:
        raise BadLabels(f"it labels {_some(strangers)}, which the data set does not hold")
    if unlabelled := [name for name in images if name not in found]:
        raise BadLabels(f"it has no label for {_some(unlabelled)}")
    labels = torch.tensor([found[name] for name in images])
    if missing := sorted(set(range(int(labels.max()) + 1)) - set(labels.tolist()))[:3]:
        raise BadLabels(
            f"no image has class {missing[0]}, but there is class {labels.max()}; classes count from 0 without gaps"
        )
    return labels


def _entries(content: bytes) -> list[Any] | None:
    try:
        described = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadLabels(f"it is not JSON ({str(error) or 'nested too deeply'})") from None
    if not isinstance(described, dict) or not isinstance(described.get("labels"), list | None):
        raise BadLabels('it should be {"labels": [[FILE, CLASS], …]} or {"labels": null}')
    labels: list[Any] | None = described.get("labels")
    return labels


def _by_name(entries: list[Any] | None) -> dict[str, int] | None:
    if entries is None:
        return None
    found: dict[str, int] = {}
    for entry in entries:
        match entry:
            case [str(name), int(label)] if not isinstance(label, bool):
                name = name.replace("\\", "/")
                if not 0 <= label < len(entries):
                    raise BadLabels(
                        f"{name!r} has class {label}, which {len(entries):,} labels without gaps cannot reach"
                    )
                if found.setdefault(name, label) != label:
                    raise BadLabels(f"{name!r} has two labels, {found[name]} and {label}")
            case _:
                raise BadLabels(f"{json.dumps(entry)[:100]} is not [FILE, CLASS] with an integer for the class")
    return found


def _some(names: Sequence[str]) -> str:
    return repr(names[0]) + (f" and {len(names) - 1:,} more" if len(names) > 1 else "")


def folder_classes(images: Sequence[str]) -> tuple[Tensor, tuple[str, ...]] | None:
    """(class numbers [N], names) from first-level folders, sorted; None unless all images lie in at least two such.

    EDM's layout, unpacked, is no such case: its folders only keep directories short.
    """
    if all(_EDM_NAME.fullmatch(name) for name in images):
        return None
    folders = [name.partition("/")[0] for name in images if "/" in name]
    names, numbers = np.unique(folders, return_inverse=True)
    if len(folders) < len(images) or len(names) < 2:
        return None
    return torch.from_numpy(numbers.astype(np.int64)), tuple(map(str, names))
