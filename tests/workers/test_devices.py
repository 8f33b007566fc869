from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from studio.environment import EnvironmentProblem, load_environment
from studio.pool.needs import GIB
from workers.devices import parse_gpus, read_devices, visible_devices

# As nvidia-smi writes it with --format=csv,noheader,nounits.
TWO = """0, GPU-aaaa, NVIDIA H100 80GB HBM3, 81559, 1234, 97
1, GPU-bbbb, "NVIDIA A100, PCIe", 40960, [N/A], [Not Supported]
"""


def test_gpus_are_read_from_what_nvidia_smi_writes() -> None:
    first, second = parse_gpus(TWO, None)
    assert (first.uuid, first.kind, first.name, first.utilisation) == ("GPU-aaaa", "cuda", "NVIDIA H100 80GB HBM3", 97)
    assert (first.memory, first.memory_used) == (81559 * 2**20, 1234 * 2**20)
    assert (second.name, second.memory_used, second.utilisation) == ("NVIDIA A100, PCIe", None, None)


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-aaaa", "GPU-bbbb"]),
        ("1", ["GPU-bbbb"]),
        ("GPU-a", ["GPU-aaaa"]),
        ("", []),
        ("0, 1", ["GPU-aaaa", "GPU-bbbb"]),
    ],
)
def test_a_worker_that_sees_some_gpus_announces_those(visible: str | None, uuids: list[str]) -> None:
    assert [gpu.uuid for gpu in parse_gpus(TWO, visible)] == uuids


def test_a_line_that_cannot_be_read_is_passed_over() -> None:
    assert parse_gpus("No devices were found\n\n2, GPU-c, X, [N/A], 0, 0\n", None) == []


def test_nvidia_smi_is_asked_and_an_unwilling_one_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{TWO}END\n")
    program.chmod(0o755)
    cpu, *gpus = read_devices("host:1", []).found
    assert [gpu.uuid for gpu in gpus] == ["GPU-aaaa", "GPU-bbbb"]
    assert (cpu.uuid, cpu.kind) == ("cpu:host:1", "cpu")
    assert cpu.memory > GIB / 4
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2; exit 9\n")
    found, complete = read_devices("host:1", [])
    assert ([device.kind for device in found], complete) == (["cpu"], False)


def test_declared_devices_take_the_place_of_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = {"kind": "cpu", "name": "half", "memory_gib": 8}
    cuda = {"kind": "cuda", "uuid": "GPU-a", "name": "H200", "memory_gib": 141}
    monkeypatch.setenv("SIMSTUDIO_DEVICES", json.dumps([cpu, cuda]))
    half, gpu = read_devices("host:1", load_environment().devices).found
    assert (half.uuid, half.kind, half.memory) == ("cpu:host:1/0", "cpu", 8 * GIB)
    assert (gpu.uuid, gpu.kind, gpu.memory) == ("GPU-a", "cuda", 141 * GIB)


def test_a_trainer_sees_its_devices_and_no_others() -> None:
    assert visible_devices(["GPU-a", "GPU-b"]) == "GPU-a,GPU-b"
    assert visible_devices(["cpu:host:1"]) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{", "is not JSON"),
        ('{"kind": "cpu"}', "valid list"),
        ('[{"kind": "tpu", "name": "x", "memory_gib": 1}]', "0.kind: Input should be 'cpu' or 'cuda'"),
        ('[{"kind": "cpu", "name": "x"}]', "0.memory_gib: Field required"),
        ('[{"kind": "cpu", "name": "x", "memory_gib": 0}]', "0.memory_gib: Input should be greater than 0"),
        ('[{"kind": "cuda", "name": "x", "memory_gib": 1}]', "a cuda device needs its uuid"),
        (json.dumps(2 * [{"kind": "cuda", "uuid": "A", "name": "x", "memory_gib": 1}]), "names a uuid twice"),
    ],
)  # fmt: skip
def test_a_wrong_list_of_devices_stops_the_start_and_says_what_is_right(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setenv("SIMSTUDIO_DEVICES", text)
    with pytest.raises(EnvironmentProblem) as refusal:
        load_environment()
    assert str(refusal.value).startswith("SIMSTUDIO_DEVICES=")
    assert message in str(refusal.value)


@pytest.mark.parametrize("value", ["-1", "plenty", "nan"])
def test_a_wrong_reserve_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SIMSTUDIO_DISK_RESERVE", value)
    with pytest.raises(EnvironmentProblem, match="SIMSTUDIO_DISK_RESERVE"):
        load_environment()
