"""CIFAR-10's batches are Python 2 pickles. This reads exactly their kind, with no unpickler at all. Torch-free.

A pickle is a program for a stack machine. This machine knows strings, integers, lists, tuples and dicts, and the two
calls that numpy's arrays of bytes are written as, which it only notes. No opcode leads out of it: nothing is imported
or executed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simcore.edm_pickle_scan import Refused, opcodes, show

MAX_OPCODES = 200_000  # a batch of 10,000 images with labels and file names has some 50,000

_INTEGERS = {"BININT", "BININT1", "BININT2", "LONG1"}
_STRINGS = {"BINSTRING", "SHORT_BINSTRING"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_NAMES = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
}
_MARK = object()


@dataclass(frozen=True)
class _Global:
    """One of the names that such a pickle mentions."""

    name: str


@dataclass
class _Call:
    """A call of such a name, and the state that its result was given."""

    name: str
    arguments: object
    state: object = None


def read_batch(content: bytes) -> tuple[NDArray[np.uint8], list[int]]:
    """(rows [N, columns], labels) of one batch. Raises Refused with the reason, for whatever else the file holds."""
    try:
        batch = _run(content)
    except Refused:
        raise
    except (IndexError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise Refused(f"damaged: its program fails ({type(error).__name__})") from None
    if not isinstance(batch, dict):
        raise Refused("it holds no dictionary")
    labels = batch.get(b"labels")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise Refused("its 'labels' is not a list of integers")
    return _pixels(batch.get(b"data")), labels


def _pixels(array: object) -> NDArray[np.uint8]:
    match array:
        case _Call("array", _, (_, (int(rows), int(columns)), _Call("dtype", (b"u1", *_)), bool(fortran), bytes(data))):
            if min(rows, columns) < 0 or rows * columns != len(data):
                raise Refused(f"its 'data' has {len(data):,} bytes for {rows:,} × {columns:,}")
            return np.frombuffer(data, np.uint8).reshape(rows, columns, order="F" if fortran else "C")
        case _:
            raise Refused("its 'data' is not an array of bytes with two dimensions")


def _run(content: bytes) -> object:
    """What the pickle's program leaves on its stack."""
    stack: list[Any] = []
    memo: dict[object, Any] = {}
    for count, (opcode, argument, position) in enumerate(opcodes(io.BytesIO(content))):
        if count >= MAX_OPCODES:
            raise Refused(f"too large: more than {MAX_OPCODES:,} opcodes")
        if opcode in _INTEGERS:
            stack.append(argument)
        elif opcode in _STRINGS:
            stack.append(str(argument).encode("latin-1"))
        elif opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode])
        elif opcode == "GLOBAL":
            stack.append(_global(str(argument)))
        elif opcode in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif opcode in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif opcode == "STOP":
            return stack.pop()
        elif opcode != "PROTO":
            _build(opcode, position, stack)
    raise Refused("truncated or damaged: it has no end")


def _global(name: str) -> _Global:
    if name not in _NAMES:
        module, _, attribute = name.partition(" ")
        raise Refused(f"it asks for {show((module, attribute))}, which no batch of CIFAR-10 needs")
    return _Global(_NAMES[name])


def _build(opcode: str, position: int, stack: list[Any]) -> None:
    """The opcodes that take several values from the stack."""
    if opcode == "EMPTY_DICT":
        stack.append({})
    elif opcode == "EMPTY_LIST":
        stack.append([])
    elif opcode == "MARK":
        stack.append(_MARK)
    elif opcode in _TUPLES:
        count = _TUPLES[opcode]
        values = [stack.pop() for _ in range(count)]
        stack.append(tuple(reversed(values)))
    elif opcode == "TUPLE":
        stack.append(tuple(_from_mark(stack)))
    elif opcode in ("APPEND", "APPENDS"):
        values = [stack.pop()] if opcode == "APPEND" else _from_mark(stack)
        _top(stack, list).extend(values)
    elif opcode in ("SETITEM", "SETITEMS"):
        values = [stack.pop(-2), stack.pop()] if opcode == "SETITEM" else _from_mark(stack)
        keys = values[::2]
        if not all(isinstance(key, bytes) for key in keys):  # hashing a deep tuple would overflow the stack
            raise Refused("it has a dictionary whose keys are no strings")
        _top(stack, dict).update(zip(keys, values[1::2], strict=True))
    elif opcode == "REDUCE":
        arguments, called = stack.pop(), stack.pop()
        stack.append(_Call(called.name, arguments))
    elif opcode == "BUILD":
        state = stack.pop()
        _top(stack, _Call).state = state
    else:
        raise Refused(f"not a batch of CIFAR-10: opcode {opcode} at byte {position}")


def _from_mark(stack: list[Any]) -> list[Any]:
    values: list[Any] = []
    while (value := stack.pop()) is not _MARK:
        values.append(value)
    return values[::-1]


def _top(stack: list[Any], kind: type) -> Any:
    if not isinstance(stack[-1], kind):
        raise Refused(f"damaged: a {kind.__name__.strip('_')} is missing on its stack")
    return stack[-1]
