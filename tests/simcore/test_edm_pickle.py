from __future__ import annotations

import io
import json
import os
import pickle
import re
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from simcore import edm_pickle
from simcore.edm_pickle import Description, read_checkpoint, read_checkpoints
from simcore.edm_pickle_scan import Refused
from tests.simcore.edm_files import dumps, module_state, source_that_would_write, tiny

MEMO_BOMB = b"\x80\x04\x4e\x72" + struct.pack("<I", 250_000_000) + b"\x2e"
MARKER = Path(tempfile.gettempdir()) / "simcore-test-was-executed"
SOURCE = source_that_would_write(MARKER)


class System:
    """Pickled as a call of os.system."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARKER}",)


class GetAttribute:
    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, ("text", "upper")


class Claims(pickle.Pickler):
    """Writes a list of one count as a reference to a storage of so many numbers."""

    def persistent_id(self, claim: object) -> tuple[Any, ...] | None:
        return ("storage", torch.FloatStorage, "0", "cpu", *claim, None) if isinstance(claim, list) else None


def storage(count: int = 6, numbers: bytes = bytes(24), follow: int | None = None, platform: Any = None) -> bytes:
    """A storage in torch's old format: announced with `count`, which before the numbers may read otherwise."""
    claim = io.BytesIO()
    Claims(claim, protocol=2).dump([count])
    plain = (0x1950A86A20F9469CFC6C, 1001, platform or {"little_endian": True})
    head = b"".join(pickle.dumps(part, protocol=2) for part in plain)
    tail = (count if follow is None else follow).to_bytes(8, "little") + numbers
    return head + claim.getvalue() + pickle.dumps(["0"], protocol=2) + tail


class Stored:
    """A storage of these bytes."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.storage._load_from_bytes, (self.raw,)


class Viewed:
    """A tensor of this shape in these bytes."""

    def __init__(self, raw: bytes, size: object, stride: object, offset: object = 0) -> None:
        self.arguments = Stored(raw), offset, size, stride, False, {}

    def __reduce__(self) -> tuple[Any, ...]:
        return torch._utils._rebuild_tensor_v2, self.arguments


def with_tensor(tensor: object) -> bytes:
    content = tiny()
    content["ema"].meta["state"]["_parameters"]["extra"] = tensor
    return dumps(content)


def with_argument(value: object) -> bytes:
    content = tiny()
    content["ema"].meta["state"]["_init_kwargs"]["extra"] = value
    return dumps(content)


def containing_itself() -> bytes:
    container = torch.nn.ModuleDict()
    container.__dict__.update(module_state(modules={"again": container}))
    content = tiny()
    content["ema"].meta["state"]["_modules"]["extra"] = container
    return dumps(content)


def sharing_one_storage() -> bytes:
    content = tiny()
    tensor = torch.zeros(10_000)
    content["ema"].meta["state"]["_parameters"] |= {f"p{index}": tensor for index in range(100)}
    return dumps(content)


def changed(old: bytes, new: bytes) -> bytes:
    content = dumps(tiny())
    assert old in content
    return content.replace(old, new)


def hashed_for_ever() -> bytes:
    """40 nested pairs of the same pair, as a key: 2⁴⁰ hashes."""
    pairs = b"".join(b"h" + bytes([i, ord("h"), i]) + b"\x86\x94" for i in range(40))
    return b"\x80\x04)\x94" + pairs + b"}h\x28Ns."


def nested_too_deep_to_hash() -> bytes:
    return b"\x80\x04})" + b"\x85" * 1_000_000 + b"Ns."


def frame(content: bytes) -> bytes:
    return b"\x95" + struct.pack("<Q", len(content)) + content


# To the scan data of 64 bytes; the unpickler, which takes their length from the first four, executes the rest.
HIDDEN = b"\0\0cposix\nsystem\n."

ATTACKS: dict[str, tuple[bytes, str]] = {
    "os.system": (pickle.dumps(System(), 4), r"asks for '(posix|nt)\.system'"),
    "os.system by the old opcode": (pickle.dumps(System(), 2), r"asks for '(posix|nt)\.system'"),
    "os.system as text": (pickle.dumps(System(), 0), "not a pickle"),
    "os.system beside the network": (dumps(tiny(loss_fn=System())), r"asks for '(posix|nt)\.system'"),
    "another global beside the network": (dumps(tiny(loss_fn=GetAttribute())), "asks for 'builtins.getattr'"),
    "another function of an allowed module": (
        changed(b"\x8c\x12_rebuild_tensor_v2", b"\x8c\x12_rebuild_tensor_v3"),
        "asks for 'torch._utils._rebuild_tensor_v3'",
    ),
    "a global named by what was computed": (b"\x80\x04\x8c\x02os\x94N0h\x00)R\x8c\x06system\x93.", "opcode POP"),
    "a global named from the memo": (b"\x80\x04]\x94h\x00\x8c\x06system\x93.", "whose name is not written before it"),
    "os.system in a storage": (with_tensor(Viewed(pickle.dumps(System(), 2), (1,), (1,))), r"storage.*\w+\.system'"),
    "os.system as a storage's platform": (
        with_tensor(Viewed(storage(platform=System()), (2, 3), (3, 1))),
        r"in the storage of a tensor: it asks for '(posix|nt)\.system'",
    ),
    "a memo bomb": (MEMO_BOMB, "memo index 250,000,000 at byte 3"),
    "a memo bomb in a storage": (with_tensor(Viewed(MEMO_BOMB, (1,), (1,))), "in the storage.*memo index 250,000,000"),
    "a storage that claims a terabyte": (
        with_tensor(Viewed(storage(2**38), (2, 3), (3, 1))),
        r"claims 274,877,906,944 numbers \(1,099,511,627,776 bytes\) but holds 24 bytes",
    ),
    "a storage with two counts": (with_tensor(Viewed(storage(follow=7), (2, 3), (3, 1))), "6 numbers are announced"),
    "a storage with too few bytes": (with_tensor(Viewed(storage(numbers=bytes(20)), (2,), (1,))), "holds 20 bytes"),
    "a tensor that claims a terabyte": (
        with_tensor(Viewed(storage(), (2**20, 2**18), (2**18, 1))), r"claims the shape \(1048576, 262144\)"
    ),
    "a tensor that repeats one number": (with_tensor(Viewed(storage(), (2**38,), (0,))), "claims the shape"),
    "a tensor that starts too late": (with_tensor(Viewed(storage(), (6,), (1,), 1)), "claims the shape"),
    "a tensor that steps too far": (with_tensor(Viewed(storage(), (2,), (6,))), "claims the shape"),
    "a tensor that steps back": (with_tensor(Viewed(storage(), (2,), (-1,))), "not small whole numbers"),
    "a tensor of fractions": (with_tensor(Viewed(storage(), (2.0,), (1,))), "not small whole numbers"),
    "many tensors in one storage": (sharing_one_storage(), "its tensors claim 4,000,"),
    "bytes that claim a terabyte": (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", "truncated or damaged"),
    "a frame that claims an exabyte": (b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.", "a frame should end"),
    "a memo index that straddles a frame": (
        b"\x80\x04" + frame(b"Nr\0\0") + b"\0\0K\0.", "a frame should end at byte 15, which is within an opcode",
    ),
    "opcodes hidden behind a frame's end": (
        b"\x80\x04" + frame(b"B\x40\0") + b"\0\0" + HIDDEN.ljust(64) + b".", "a frame should end at byte 14, which is",
    ),
    "a frame in a frame": (b"\x80\x04" + frame(frame(b"N") + b"."), "a frame within a frame at byte 11"),
    "a module that contains itself": (containing_itself(), "nested deeper than 16"),
    "a change to a class": (
        b"\x80\x04\x8c\x1atorch.nn.modules.container\x8c\x0aModuleDict\x93N}\x8c\x0c__setstate__Ns\x86b.",
        "damaged: TypeError",
    ),
    "a change to a function": (
        b"\x80\x04\x8c\x0ctorch._utils\x8c\x12_rebuild_parameter\x93N}\x8c\x0c__defaults__)s\x86b.",
        "damaged: AttributeError",
    ),
    "a nest that overflows the stack": (nested_too_deep_to_hash(), "signal SIGSEGV"),
    "too many opcodes": (b"\x80\x04" + b"}" * 2_000_001 + b".", "more than 2,000,000 opcodes"),
    "a text of five million letters": (pickle.dumps("x" * 5_000_000, 4), "a text of 5,000,000 characters"),
    "a dict among the arguments": (with_argument({"a": 1}), "'extra' is not a number"),
    "an argument of 2¹⁰⁰": (with_argument(2**100), "'extra' is not a number"),
    "a list of lists among the arguments": (with_argument([[1]]), "'extra' is not a number"),
    "another version of the persistence": (changed(b"version\x94K\x06", b"version\x94K\x07"), "version 6"),
    "no network": (dumps({"loss_fn": None}), "no network under 'ema'"),
    "a list": (pickle.dumps([1], 4), "no network under 'ema'"),
    "a truncated file": (dumps(tiny())[:-400], "truncated or damaged"),
    "bytes after the end": (dumps(tiny()) + b"more", "4 bytes after the pickle's end"),
    "an empty file": (b"", "not a pickle: it starts with b''"),
    "a web page": (b"<!DOCTYPE html>", "not a pickle: it starts with b'<!DO'"),
    "a big-endian storage": (
        with_tensor(Viewed(storage(platform={"little_endian": False}), (2, 3), (3, 1))),
        "not torch's little-endian",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Every attack's answer, read in as few processes as they leave alive."""
    folder = tmp_path_factory.mktemp("attacks")
    MARKER.unlink(missing_ok=True)
    paths = [folder / f"{index}.pkl" for index in range(len(ATTACKS))]
    for path, (content, _) in zip(paths, ATTACKS.values(), strict=True):
        path.write_bytes(content)
    return dict(zip(ATTACKS, read_checkpoints(paths, folder), strict=True))


def test_the_files_that_attacks_are_made_from_are_read(tmp_path: Path) -> None:
    (tmp_path / "good.pkl").write_bytes(with_tensor(Viewed(storage(numbers=bytes(23) + b"\x40"), (3, 2), (1, 3))))
    _, tensors = read_checkpoint(tmp_path / "good.pkl", tmp_path)
    assert load_file(tensors)["extra"].tolist() == [[0, 0], [0, 0], [0, 2]]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_with_its_reason_in_one_line(attack: str, attacked: dict[str, object]) -> None:
    answer = attacked[attack]
    assert isinstance(answer, Refused)
    assert re.search(ATTACKS[attack][1], str(answer)), answer
    assert_one_line(answer)
    assert not MARKER.exists()


def assert_one_line(reason: object) -> None:
    assert str(reason).isprintable()
    assert len(str(reason)) < 400


@pytest.mark.parametrize(
    ("limit", "reason"), [("CPU_SECONDS", "1 seconds of processor time"), ("WALL_SECONDS", "1 seconds$")]
)
def test_a_file_that_would_take_for_ever_is_refused(
    limit: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow.pkl").write_bytes(hashed_for_ever())
    monkeypatch.setattr(edm_pickle, limit, 1)
    with pytest.raises(Refused, match=f"longer than {reason}"):
        read_checkpoint(tmp_path / "slow.pkl", tmp_path)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "large.pkl").open("wb") as file:
        file.truncate(edm_pickle.MAX_FILE + 1)
    with pytest.raises(Refused, match="too large: 2,147,483,649 bytes"):
        read_checkpoint(tmp_path / "large.pkl", tmp_path)


def test_the_readers_memory_follows_the_files_size_up_to_a_bound() -> None:
    assert edm_pickle._memory(223_000_000) == (256 << 20) + 4 * 223_000_000  # CIFAR-10's
    assert edm_pickle._memory(1_200_000_000) < edm_pickle._memory(edm_pickle.MAX_FILE) == 6 << 30


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pkl")
    with pytest.raises(Refused, match="is not a file"):
        read_checkpoint(tmp_path / "pipe.pkl", tmp_path)


def test_a_checkpoint_is_read_without_running_its_source(tmp_path: Path) -> None:
    MARKER.unlink(missing_ok=True)
    (tmp_path / "tiny.pkl").write_bytes(dumps(tiny(SOURCE)))
    description, tensors = read_checkpoint(tmp_path / "tiny.pkl", tmp_path)
    assert not MARKER.exists()
    assert description == Description(
        format="edm",
        class_name="EDMPrecond",
        arguments={"img_resolution": 8, "img_channels": 3, "model_type": "SongUNet", "channel_mult": [1, 2]},
        network_class_name="SongUNet",
        network_arguments={"img_resolution": 8, "in_channels": 3, "skip": float(np.sqrt(0.5))},
    )
    found = load_file(tensors)
    assert sorted(found) == ["model.freqs", "model.layer.weight"]
    assert found["model.layer.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_plain_state_dict_is_read(tmp_path: Path) -> None:
    wide = torch.arange(12.0).reshape(3, 4)
    torch.save(OrderedDict(columns=wide.T, half=wide[1:].half(), count=torch.tensor(7)), tmp_path / "weights.pt")
    description, tensors = read_checkpoint(tmp_path / "weights.pt", tmp_path)
    assert description == Description(format="state_dict")
    found = load_file(tensors)
    assert np.array_equal(found["columns"], wide.T.numpy())
    assert found["half"].dtype == np.float16
    assert found["count"] == 7


def test_the_state_dict_of_a_module_is_read(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 3).state_dict(), tmp_path / "weights.pt")
    _, tensors = read_checkpoint(tmp_path / "weights.pt", tmp_path)
    assert {name: array.shape for name, array in load_file(tensors).items()} == {"weight": (3, 2), "bias": (3,)}


def _saved(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def _compressed(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    return out.getvalue()


def _zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (_saved({"w": torch.zeros(2), "x": System()}), r"asks for '(posix|nt)\.system'"),
        (_saved({"epoch": 3, "model": {"w": torch.zeros(2)}}), "not a plain state_dict"),
        (_saved({}), "it holds no tensors"),
        (_saved({"w": torch.zeros(1).expand(1000)}), "claims the shape"),
        (_saved({"w": torch.zeros(2, dtype=torch.bfloat16)}), "asks for 'torch.BFloat16Storage'"),
        (_compressed(_saved({"w": torch.zeros(2)})), "is compressed or too large"),
        (_saved({"w": torch.zeros(2)})[:-30], "truncated or damaged"),
        (_zipped(photo=b"x"), "no data.pkl in it"),
        (_zipped(**{"a/data.pkl": MEMO_BOMB}), "memo index 250,000,000"),
        (_zipped(**{"a/data.pkl": pickle.dumps({}), "a/byteorder": b"big"}), "not little-endian"),
    ],
)
def test_a_file_of_torch_that_is_no_plain_state_dict_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(Refused, match=reason) as refused:
        read_checkpoint(tmp_path / "weights.pt", tmp_path)
    assert_one_line(refused.value)
    assert not MARKER.exists()


GOOD = dumps(tiny(SOURCE))
flips = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(1, 255)), min_size=1, max_size=8)
lengths = st.one_of(st.just(len(GOOD)), st.integers(0, len(GOOD)))


def mutated(mutation: tuple[list[tuple[int, int]], int]) -> bytes:
    """GOOD with some bytes changed, cut off at a length."""
    content = bytearray(GOOD)
    for position, difference in mutation[0]:
        content[position] ^= difference
    return bytes(content[: mutation[1]])


MEASURE = """
import json, resource, sys
from pathlib import Path
from simcore.edm_pickle import Refused, read_checkpoints
answers = read_checkpoints([Path(name) for name in sys.argv[2:]], Path(sys.argv[1]))
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([[str(answer) if isinstance(answer, Refused) else None for answer in answers], peak / 1024]))
"""


def measured(paths: list[Path], folder: Path) -> tuple[list[str | None], float]:
    """Each file's refusal, or None, and the peak memory of the reading processes in MiB."""
    command = [sys.executable, "-c", MEASURE, str(folder), *map(str, paths)]
    output = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    answers, peak = json.loads(output)
    return answers, peak


@settings(max_examples=10)
@given(st.lists(st.tuples(flips, lengths), min_size=100, max_size=100))
def test_a_thousand_damaged_files_are_read_or_refused_in_bounds(
    mutations: list[tuple[list[tuple[int, int]], int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.pkl" for index in range(len(mutations) + 1)]
        for path, mutation in zip(paths, mutations, strict=False):
            path.write_bytes(mutated(mutation))
        paths[-1].write_bytes(MEMO_BOMB)
        started = time.monotonic()
        answers, megabytes = measured(paths, Path(folder))
        assert time.monotonic() - started < 60
    assert megabytes < 1024
    assert len(answers) == len(paths)
    assert "memo index" in str(answers[-1])
    for reason in filter(None, answers):
        assert_one_line(reason)
    assert not MARKER.exists()


@pytest.mark.parametrize("module", ["edm_pickle", "edm_pickle_child", "edm_config", "commands.import_teacher"])
def test_the_reader_imports_where_torch_cannot_be(module: str) -> None:
    program = f"import sys; sys.modules['torch'] = None; import simcore.{module}"
    subprocess.run([sys.executable, "-c", program], check=True)
