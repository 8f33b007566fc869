"""Look at a pickle's opcodes without executing any: what it would build, from which globals, how much. Torch-free.

`pickle.Unpickler.find_class` alone does not protect: nine bytes with a huge memo index take gigabytes before any
global is asked for. So every pickle passes here first; only opcodes that picklers write for plain data are let by.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterable, Iterator
from typing import Protocol

MAX_OPCODES = 2_000_000  # the largest published network has some 60,000
MAX_TEXT = 4 << 20  # characters of one string; the source text in a file is the longest
_GLOBAL_NAME = 200  # characters of a module's or a class's name

Global = tuple[str, str]

_STRINGS = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_PUT = {"BINPUT", "LONG_BINPUT"}
_GET = {"BINGET", "LONG_BINGET"}
_PLAIN = {
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND",
    "APPENDS", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_SET", "ADDITEMS", "MEMOIZE",
    "GLOBAL", "STACK_GLOBAL", "NEWOBJ", "REDUCE", "BUILD",
}  # fmt: skip
_KNOWN = _PLAIN | _STRINGS | _PUT | _GET


class Refused(ValueError):
    """The file is not what it should be, or not safe to read; the message is one line for the user."""


class Stream(Protocol):
    """What is read: `io.BytesIO` or `mmap.mmap`. Neither allocates for a length that its content does not have."""

    def read(self, count: int = ..., /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...


def scan(stream: Stream, allowed: Iterable[Global], persistent: bool = False) -> None:
    """Walk one pickle from the stream's position to just behind its STOP. Nothing is built.

    allowed: the globals (module, name) it may ask for. persistent: whether it may refer to storages outside itself.
    Raises Refused with the reason.
    """
    allowed = set(allowed)
    known = _KNOWN | {"BINPERSID"} if persistent else _KNOWN
    names, frames = _Names(), _Frames()
    for count, (opcode, argument, position) in enumerate(opcodes(stream)):
        if opcode not in known:
            raise Refused(f"not plain data: opcode {opcode} at byte {position}")
        if count >= MAX_OPCODES:
            raise Refused(f"too large: more than {MAX_OPCODES:,} opcodes")
        if isinstance(argument, str) and len(argument) > MAX_TEXT:
            raise Refused(f"too large: a text of {len(argument):,} characters at byte {position}")
        if opcode in _PUT and isinstance(argument, int) and argument > count:
            raise Refused(f"memo index {argument:,} at byte {position}, after only {count} opcodes")
        frames.follow(opcode, argument, position)
        wanted = names.follow(opcode, argument, position)
        if wanted is not None and wanted not in allowed:
            raise Refused(f"it asks for {show(wanted)}, which no EDM checkpoint needs")
    frames.stop(stream.tell())


def show(wanted: Global) -> str:
    """A global's name for a message: one line, of bounded length."""
    return ascii(".".join(wanted)[:_GLOBAL_NAME])


def opcodes(stream: Stream) -> Iterator[tuple[str, object, int]]:
    """(name, argument, position) of each opcode, up to STOP. Raises Refused where the pickle is damaged."""
    try:
        for opcode, argument, position in pickletools.genops(stream):  # type: ignore[arg-type]
            yield opcode.name, argument, position or 0
    except ValueError as error:
        if "unknown" in str(error):
            raise Refused(f"not a pickle, or damaged: {error}") from None
        raise Refused(f"truncated or damaged: {error}") from None


class _Frames:
    """Holds frames to what picklers write: one after the other, each of whole opcodes.

    `pickletools` reads across a frame's end. CPython's unpickler, where an argument straddles it, drops what is left of
    the frame and takes the argument from behind it, so that it would see other opcodes than the scan.
    """

    _HEAD = 9  # bytes of the opcode and its argument

    def __init__(self) -> None:
        self._end: int | None = None  # of the frame that is open

    def follow(self, opcode: str, argument: object, position: int) -> None:
        """Called for every opcode. Raises Refused."""
        if self._end is not None and position >= self._end:
            self.stop(position)
        if opcode == "FRAME" and isinstance(argument, int):
            if self._end is not None:
                raise Refused(f"damaged: a frame within a frame at byte {position}")
            self._end = position + self._HEAD + argument

    def stop(self, position: int) -> None:
        """The open frame, if any, has to end here. Raises Refused."""
        if self._end not in (None, position):
            raise Refused(f"damaged: a frame should end at byte {self._end}, which is within an opcode or behind all")
        self._end = None


class _Names:
    """Follows the strings on the stack and in the memo, as far as naming a global takes.

    Python's pickler pushes a global's two names right before STACK_GLOBAL; names that come any other way are refused.
    """

    def __init__(self) -> None:
        self._last: list[str] = []  # strings pushed since the last opcode of another kind
        self._memo: dict[int, str | None] = {}  # None stands for what is no name

    def follow(self, opcode: str, argument: object, position: int) -> Global | None:
        """The global that this opcode asks for, if it does."""
        if opcode in _STRINGS:
            self._push(str(argument))
        elif opcode in _GET and isinstance(argument, int):
            self._push(self._memo.get(argument))
        elif opcode == "MEMOIZE":
            self._put(len(self._memo))
        elif opcode in _PUT and isinstance(argument, int):
            self._put(argument)
        elif opcode == "GLOBAL":
            self._last = []
            module, _, name = str(argument).partition(" ")
            return module, name
        elif opcode == "STACK_GLOBAL":
            if len(self._last) != 2:
                raise Refused(f"not plain data: a global at byte {position} whose name is not written before it")
            module, name = self._last
            self._last = []
            return module, name
        elif opcode != "FRAME":
            self._last = []
        return None

    def _push(self, text: str | None) -> None:
        self._last = [] if text is None else [*self._last[-1:], text]

    def _put(self, index: int) -> None:
        top = self._last[-1] if self._last else None
        self._memo[index] = top if top is not None and len(top) <= _GLOBAL_NAME else None
