"""Unpickling where every class is a stand-in of ours: plain dicts, `Module`, `Tensor`. Torch-free; for the child only.

Nothing here is protection by itself: `edm_pickle_child` adds the limits. A file can set attributes of whatever it names
(opcode BUILD), but of no stand-in: BUILD calls `__setstate__` where there is one, so every class has it, and functions
are offered as their immutable `__call__`. So one process may read many files.
"""

from __future__ import annotations

import io
import math
import mmap
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray

from simcore.edm_pickle_scan import Global, Refused, scan, show

Array = NDArray[Any]

# torch's storage classes and what their bytes are; numpy has no bfloat16
_STORAGES: dict[Global, Any] = {
    ("torch", "FloatStorage"): "<f4",
    ("torch", "HalfStorage"): "<f2",
    ("torch", "DoubleStorage"): "<f8",
    ("torch", "LongStorage"): "<i8",
    ("torch", "IntStorage"): "<i4",
    ("torch", "ByteStorage"): "|u1",
    ("torch", "BoolStorage"): "|b1",
}
_SCALARS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_PERSISTENCE_VERSION = 6
_MAX_DIMENSIONS = 8


class Storage(NamedTuple):
    """A flat run of numbers."""

    values: Array


class Tensor(NamedTuple):
    """A view of a storage."""

    values: Array


class Module(NamedTuple):
    """A network, or another object, that the file describes by class name and `__dict__`."""

    class_name: str
    state: dict[object, Any]


class _Mapping(dict[object, Any]):
    """For OrderedDict and EasyDict: attributes beside the items (`_metadata`) are dropped."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class ModuleDict:
    """For torch's container of that name, which is pickled without a description."""

    __slots__ = ("state",)

    def __setstate__(self, state: object) -> None:
        self.state = state


class _DType:
    """For numpy's dtype: little-endian numbers only."""

    __slots__ = ("name",)

    def __init__(self, name: object, *flags: object) -> None:
        if not isinstance(name, str) or name not in _SCALARS:
            raise Refused(f"it has a numpy scalar of an unknown type: {ascii(name)[:80]}")
        self.name = name

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|"):
            raise Refused("it has a numpy scalar that is not little-endian")


Fetch = Callable[[str, str, int], Any]


class _Restricted(pickle.Unpickler):
    def __init__(self, content: bytes | mmap.mmap, table: dict[Global, Any], fetch: Fetch | None) -> None:
        super().__init__(io.BytesIO(content) if isinstance(content, bytes) else content)
        self._table, self._fetch = table, fetch

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._table:
            raise Refused(f"it asks for {show((module, name))}, which no EDM checkpoint needs")
        return self._table[module, name]

    def persistent_load(self, reference: Any) -> Any:
        """torch's reference to a storage: ("storage", class, key, device, count[, view])."""
        kind, dtype, key, _, count = reference[:5]
        fits = kind == "storage" and dtype in _STORAGES.values() and isinstance(key, str) and _is_count(count)
        if self._fetch is None or not fits or any(part is not None for part in reference[5:]):
            raise Refused("it refers to a storage in an unknown way")
        return self._fetch(dtype, key, count)


def load_network(content: mmap.mmap) -> Any:
    """The object in a published checkpoint. Raises Refused; other exceptions where the pickle is damaged."""
    scan(content, _NETWORK)
    if content.tell() != len(content):
        raise Refused(f"damaged: {len(content) - content.tell():,} bytes after the pickle's end")
    content.seek(0)
    return _Restricted(content, _NETWORK, None).load()


def load_state_dict(content: bytes, fetch: Fetch) -> Any:
    """The object in the `data.pkl` of torch's zip files; `fetch(dtype, key, count)` reads a storage."""
    scan(io.BytesIO(content), _STATE_DICT, persistent=True)
    return _Restricted(content, _STATE_DICT, fetch).load()


def _load_storage(raw: object) -> Storage:
    """torch's file format before zip: five pickles (magic, version, platform, object, keys), then count and numbers."""
    if not isinstance(raw, bytes):
        raise Refused("it has a storage that is not bytes")
    stream = io.BytesIO(raw)
    parts = []
    for _ in range(5):
        start = stream.tell()
        try:
            scan(stream, _NESTED, persistent=True)
        except Refused as error:
            raise Refused(f"in the storage of a tensor: {error}") from None
        parts.append(_Restricted(raw[start : stream.tell()], _NESTED, _claim).load())
    magic, version, platform, claim, _ = parts
    if magic != _LEGACY_MAGIC or version != _LEGACY_VERSION or platform.get("little_endian") is not True:
        raise Refused("in the storage of a tensor: not torch's little-endian format")
    dtype, count = claim
    data = memoryview(raw)[stream.tell() :]
    if len(data) < 8 or int.from_bytes(data[:8], "little") != count:
        raise Refused(f"in the storage of a tensor: {count:,} numbers are announced, another count follows")
    return as_storage(data[8:], dtype, count)


def _claim(dtype: str, key: str, count: int) -> tuple[str, int]:
    return dtype, count


def as_storage(data: bytes | memoryview, dtype: str, count: int) -> Storage:
    """`count` numbers of numpy's `dtype` in exactly these bytes."""
    expected = count * np.dtype(dtype).itemsize
    if len(data) != expected:
        raise Refused(f"a storage claims {count:,} numbers ({expected:,} bytes) but holds {len(data):,} bytes")
    return Storage(np.frombuffer(data, dtype))


def _rebuild_tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> Tensor:
    """torch._utils._rebuild_tensor_v2: a view within its storage that holds no more numbers than it."""
    if not isinstance(storage, Storage):
        raise Refused("a tensor without a storage")
    if not _are_counts(size) or not _are_counts(stride) or len(size) != len(stride) or not _is_count(offset):
        raise Refused("a tensor whose sizes or strides are not small whole numbers")
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    held = len(storage.values)
    if math.prod(size) > held or (0 not in size and last >= held):
        raise Refused(f"a tensor claims the shape {size} in a storage of {held:,} numbers")
    strides = [step * storage.values.itemsize for step in stride]
    return Tensor(np.lib.stride_tricks.as_strided(storage.values[offset:], size, strides, writeable=False))


def _rebuild_parameter(data: object, *_: object) -> Tensor:
    if not isinstance(data, Tensor):
        raise Refused("a parameter that is not a tensor")
    return data


def _rebuild_persistent(meta: object) -> Module:
    """torch_utils.persistence._reconstruct_persistent_obj, without running `module_src`."""
    if not isinstance(meta, dict) or meta.get("type") != "class" or meta.get("version") != _PERSISTENCE_VERSION:
        raise Refused(f"an object that is not a class of persistence version {_PERSISTENCE_VERSION}")
    name, state = meta.get("class_name"), meta.get("state")
    if not isinstance(name, str) or not isinstance(state, dict):
        raise Refused("an object without a class name or a state")
    return Module(name, state)


def _scalar(dtype: object, raw: object) -> bool | int | float:
    """numpy's scalar as Python's."""
    if not isinstance(dtype, _DType) or not isinstance(raw, bytes) or len(raw) != np.dtype(dtype.name).itemsize:
        raise Refused("it has a numpy scalar that is not one number")
    number: bool | int | float = np.frombuffer(raw, np.dtype(dtype.name).newbyteorder("<"))[0].item()
    return number


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 0 <= value < 1 << 48


def _are_counts(value: object) -> TypeGuard[tuple[int, ...]]:
    return isinstance(value, tuple) and len(value) <= _MAX_DIMENSIONS and all(map(_is_count, value))


def _frozen(function: Any) -> Any:
    """The function as an object without attributes that a file could set."""
    return function.__call__


_TENSORS: dict[Global, Any] = {
    ("collections", "OrderedDict"): _Mapping,
    ("torch._utils", "_rebuild_tensor_v2"): _frozen(_rebuild_tensor),
    ("torch._utils", "_rebuild_parameter"): _frozen(_rebuild_parameter),
}
_NETWORK: dict[Global, Any] = _TENSORS | {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _frozen(_rebuild_persistent),
    ("dnnlib.util", "EasyDict"): _Mapping,
    ("torch.nn.modules.container", "ModuleDict"): ModuleDict,
    ("torch.storage", "_load_from_bytes"): _frozen(_load_storage),
    ("numpy", "dtype"): _DType,
    ("numpy.core.multiarray", "dtype"): _DType,
    ("numpy._core.multiarray", "dtype"): _DType,
    ("numpy.core.multiarray", "scalar"): _frozen(_scalar),
    ("numpy._core.multiarray", "scalar"): _frozen(_scalar),
}
_NESTED: dict[Global, Any] = _STORAGES
_STATE_DICT: dict[Global, Any] = _TENSORS | _STORAGES
