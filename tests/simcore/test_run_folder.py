from pathlib import Path

import pytest

from simcore.config import RunSpec
from simcore.events import Checkpoint, Evaluation, Event, Finished, Log, Metrics, Samples, Stopped
from simcore.run_folder import EventLog, read_spec, write_spec


def samples(step: int) -> Samples:
    return Samples(step=step, source="student", path="samples/x.png", count=1, columns=1, nfe=1)


EVENTS: list[Event] = [
    Log(message="é"),
    *(Metrics(step=step, values={"student_loss": 0.1 * step}) for step in (1, 2)),
    samples(2),
    Checkpoint(step=2, path="checkpoints/x", size=1, sha256="0"),
    Metrics(step=3, values={}),
    samples(3),
]


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    log = EventLog(tmp_path)
    for event in EVENTS:
        log.append(event)
    return log


def test_events_are_read_as_they_were_written(log: EventLog) -> None:
    assert log.read() == EVENTS


def test_rewinding_keeps_what_a_checkpoint_holds(log: EventLog) -> None:
    log.rewind(2)
    assert log.read() == EVENTS[:5]
    log.rewind(None)
    assert log.read() == []


def test_rewinding_forgets_what_was_done_after_a_checkpoint_at_the_same_step(tmp_path: Path) -> None:
    """A pause during the evaluation of step 2 writes a checkpoint without it; the resumed run evaluates, is killed."""
    log, evaluated = EventLog(tmp_path), Evaluation(step=2, source="student", values={}, samples=1, nfe=1)
    paused = [*EVENTS[:4], EVENTS[4], Stopped(step=2, reason="pause")]
    for event in [*paused, evaluated]:
        log.append(event)
    log.rewind(2)
    assert log.read() == EVENTS[:5]


def test_a_checkpoint_whose_event_a_kill_prevented_keeps_what_it_holds(tmp_path: Path) -> None:
    log = EventLog(tmp_path)
    for event in EVENTS[:4]:
        log.append(event)
    log.rewind(2)
    assert log.read() == EVENTS[:4]


def test_a_line_that_a_kill_cut_short_is_dropped_and_the_log_goes_on(log: EventLog) -> None:
    log.path.write_bytes(log.path.read_bytes()[:-9])
    assert log.read() == EVENTS[:-1]
    log.rewind(3)
    log.append(Finished(step=3, summary={"iterations": 3}))
    assert log.read() == [*EVENTS[:-1], Finished(step=3, summary={"iterations": 3})]
    assert log.summary() == {"iterations": 3}


def test_an_unfinished_run_has_no_summary(log: EventLog) -> None:
    assert log.summary() is None


def test_the_specification_survives_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert read_spec(tmp_path, RunSpec) is None
    spec = RunSpec(seed=5)
    write_spec(tmp_path, spec)
    assert read_spec(tmp_path, RunSpec) == spec
    (tmp_path / "spec.json").write_text('{"seed": -1}')
    with pytest.raises(ValueError, match=r"spec\.json is not a readable run specification"):
        read_spec(tmp_path, RunSpec)
