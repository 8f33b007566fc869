"""The child process of `edm_pickle`: reads untrusted checkpoints under limits, hands back plain data. Torch-free.

    python -m simcore.edm_pickle_child MEMORY SECONDS FOLDER FILE…

For the i-th FILE it prints one JSON line: {"description": …} with the tensors in FOLDER/<i>.safetensors, or
{"refused": reason}. MEMORY bounds the address space in bytes, SECONDS the processor time of each file.
"""

from __future__ import annotations

import json
import math
import mmap
import resource
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from simcore.edm_pickle_scan import Refused
from simcore.edm_pickle_unpickle import Array, Module, ModuleDict, Storage, Tensor, as_storage, load_network
from simcore.edm_pickle_unpickle import load_state_dict as unpickle_state_dict

MAX_MODULES = 20_000
MAX_DEPTH = 16
MAX_NAME = 200
MAX_ITEMS = 64  # of a list among the constructor's arguments
MAX_STATE_DICT_PICKLE = 64 << 20

Tensors = dict[str, Array]


def main() -> None:
    memory, seconds, folder, *files = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    for index, file in enumerate(files):
        _allow_seconds(int(seconds))
        print(json.dumps(_answer(Path(file), Path(folder) / f"{index}.safetensors")), flush=True)


def _allow_seconds(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _answer(path: Path, out: Path) -> dict[str, Any]:
    try:
        description, tensors = _read(path)
        _check(tensors, path.stat().st_size)
        save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, out)
        return {"description": description}
    except Refused as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": "it needs more memory than a file of its size may"}
    except Exception as error:  # the unpickler raises whatever a damaged file leads it to
        return {"refused": f"truncated or damaged: {type(error).__name__}: {' '.join(str(error).split())[:MAX_NAME]}"}


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    with path.open("rb") as file:
        start = file.read(4)
        if start == b"PK\x03\x04":
            return {"format": "state_dict"}, _read_state_dict(path)
        if start[:1] != b"\x80" or not b"\x02" <= start[1:2] <= b"\x05":
            raise Refused(f"not a pickle: it starts with {start!r}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return describe(load_network(content))


def _check(tensors: Tensors, file_size: int) -> None:
    if not tensors:
        raise Refused("it holds no tensors")
    claimed = sum(array.nbytes for array in tensors.values())
    if claimed > file_size:
        raise Refused(f"its tensors claim {claimed:,} bytes, more than the file has")


def describe(root: object) -> tuple[dict[str, Any], Tensors]:
    """A published checkpoint's network `ema`: class names and constructors' arguments, and every tensor by name."""
    if not isinstance(root, dict) or not isinstance(root.get("ema"), Module):
        raise Refused("not an EDM checkpoint: no network under 'ema'")
    ema = root["ema"]
    tensors: Tensors = {}
    _collect(ema, "", tensors, [0])
    network = _table(ema, "_modules").get("model")
    if not isinstance(network, Module):
        raise Refused("not an EDM checkpoint: 'ema' has no network under 'model'")
    return {
        "format": "edm",
        "class_name": _name(ema.class_name),
        "arguments": _arguments(ema),
        "network_class_name": _name(network.class_name),
        "network_arguments": _arguments(network),
    }, tensors


def _collect(module: object, prefix: str, tensors: Tensors, visited: list[int]) -> None:
    """Adds the parameters and buffers of a tree of modules."""
    if not isinstance(module, (Module, ModuleDict)) or not isinstance(module.state, dict):
        raise Refused(f"'{prefix}' is not a module")
    visited[0] += 1
    if visited[0] > MAX_MODULES or prefix.count(".") > MAX_DEPTH:
        raise Refused(f"its modules are nested deeper than {MAX_DEPTH} or more than {MAX_MODULES:,}")
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _table(module, kind).items():
            if isinstance(tensor, Tensor) and isinstance(tensor.values, np.ndarray):
                tensors[prefix + _name(name)] = tensor.values
            elif tensor is not None:
                raise Refused(f"'{prefix}{_name(name)}' is not a tensor")
    for name, child in _table(module, "_modules").items():
        if child is not None:
            _collect(child, f"{prefix}{_name(name)}.", tensors, visited)


def _table(module: Module | ModuleDict, kind: str) -> dict[object, Any]:
    assert isinstance(module.state, dict)
    table = module.state.get(kind, {})
    if not isinstance(table, dict):
        raise Refused(f"a module whose {kind} are not a table")
    return table


def _name(name: object) -> str:
    if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
        raise Refused("a name that is not a short printable text")
    return name


def _arguments(module: Module) -> dict[str, Any]:
    """The constructor's arguments, plain."""
    if module.state.get("_init_args"):
        raise Refused(f"{_name(module.class_name)} was built with arguments by position")
    arguments = module.state.get("_init_kwargs", {})
    if not isinstance(arguments, dict) or len(arguments) > MAX_ITEMS:
        raise Refused(f"{_name(module.class_name)} has no readable constructor's arguments")
    return {_name(name): _plain(value, name) for name, value in arguments.items()}


def _plain(value: object, name: str) -> Any:
    if isinstance(value, (list, tuple)) and len(value) <= MAX_ITEMS:
        return [_plain_number(item, name) for item in value]
    return value if value is None else _plain_number(value, name)


def _plain_number(value: object, name: str) -> bool | int | float | str:
    if isinstance(value, str):
        return _name(value)
    if isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 1 << 53):
        return value
    raise Refused(f"the constructor's argument '{name}' is not a number, a short text or a short list of them")


def _read_state_dict(path: Path) -> Tensors:
    """A plain `state_dict` as `torch.save` writes it since 1.6: a zip of `data.pkl` and uncompressed storages."""
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise Refused(f"truncated or damaged: {error}") from None
    with archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1:
            raise Refused("a zip file, but not torch's: no data.pkl in it")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and _record(archive, f"{folder}byteorder", 16) != b"little":
            raise Refused("its numbers are not little-endian")

        def fetch(dtype: str, key: str, count: int) -> Storage:
            return as_storage(_record(archive, f"{folder}data/{key}", path.stat().st_size), dtype, count)

        content = unpickle_state_dict(_record(archive, pickles[0], MAX_STATE_DICT_PICKLE), fetch)
    if not isinstance(content, dict) or not all(isinstance(tensor, Tensor) for tensor in content.values()):
        raise Refused("not a plain state_dict: a table of names and tensors alone")
    return {_name(name): tensor.values for name, tensor in content.items()}


def _record(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise Refused(f"truncated or damaged: the zip file lacks {_name(name)}") from None
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
        raise Refused(f"{_name(name)} is compressed or too large")
    return archive.read(info)


if __name__ == "__main__":
    main()
