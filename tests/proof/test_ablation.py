"""The Figure 2 ablation: its cells, its command and what it tells."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from simcore.__main__ import build_parser
from simcore.ablation import Cell, Figures, Outcome, outcome, plan, write_base
from simcore.ablation_report import Report
from simcore.commands.ablate import base_spec, run_ablate
from simcore.commands.common import CommandError
from simcore.events import Evaluation, Event, Failed, Finished
from simcore.presets import diff_instruct_cell, figure_2_cells
from simcore.run_folder import EventLog
from simcore.teacher_card import BUNDLED_TEACHERS
from tests.simcore.builders import small_spec
from tests.simcore.test_cli import start, steps, wait_for_step

CELLS = [f"{o}-{w}-{t}" for o in ("sim", "sid") for w in ("nowgt", "sidwgt") for t in ("lognormal", "karras")]
SMALL = {"batch_size": 8, "schedule.checkpoint_every": 100, "schedule.sample_count": 4, "evaluation.every": 10}
SMALL |= {"evaluation.samples": 100, "evaluation.final_samples": 100}


def command(out: Path, *more: object, iterations: int = 20, **settings: object) -> list[str]:
    words = ["ablate", "--base", "digits-demo", "--iterations", iterations, "--seeds", 1, "--out", out, *more]
    for path, value in {**SMALL, **settings}.items():
        words += ["--set", f"{path}={value}"]
    return [str(word) for word in words]


def parsed(words: list[str]) -> Namespace:
    return build_parser().parse_args(words)


def finished_but(missing: str, arguments: Namespace) -> Cell:
    """An ablation's folder in which all runs but one have ended. Returns the missing one."""
    base = base_spec(arguments)
    write_base(arguments.out, base)
    cells = plan(base, arguments.seeds, arguments.out)
    for place, cell in enumerate(cells):
        if cell.name != missing:
            cell.folder.mkdir(parents=True)
            log = EventLog(cell.folder)
            if cell.spec.evaluation.at_start:
                log.append(evaluation(0, 110.0))
                log.append(evaluation(0, 0.8, "teacher"))
            log.append(evaluation(20, 10.0 + place))
            log.append(Finished(step=20, summary={}))
    return next(cell for cell in cells if cell.name == missing)


def evaluation(step: int, frechet: float, source: Any = "student") -> Event:
    values = {"frechet": frechet, "frechet_heldout": frechet + 1, "accuracy": 0.9}
    return Evaluation(step=step, source=source, values=values, samples=100, nfe=1)


def ended(name: str, *last: float, failure: str = "") -> list[Outcome]:
    """One outcome for each seed's Fréchet distance at the end; a failure makes one more."""
    found = [
        Outcome(Cell(name, small_spec(seed=seed), Path()), (Figures(6, 100, {"frechet": value}),), True, "")
        for seed, value in enumerate(last)
    ]
    return found + ([Outcome(Cell(name, small_spec(seed=9), Path()), (), False, failure)] if failure else [])


def test_the_plan_has_nine_cells_for_each_seed_and_measures_the_common_start_once() -> None:
    base = small_spec(seed=4)
    cells = plan(base, 3, Path("out"))
    assert [cell.name for cell in cells] == [*CELLS, "diff-instruct"] * 3
    assert [cell.spec.seed for cell in cells] == [4] * 9 + [5] * 9 + [6] * 9
    assert [cell.spec.evaluation.at_start for cell in cells] == [True] + [False] * 26
    assert len({cell.folder for cell in cells}) == 27
    wanted = {**figure_2_cells(base), "diff-instruct": diff_instruct_cell(base)}
    assert all(cell.spec.objective == wanted[cell.name].objective for cell in cells)


def test_an_interrupted_ablation_goes_on_and_leaves_finished_runs_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command(tmp_path, "--jobs", 2)
    missing = finished_but("sid-sidwgt-karras", parsed(words))
    others = {path: path.read_bytes() for path in tmp_path.rglob("events.jsonl")}
    process = start(*words)
    wait_for_step(missing.folder, 2)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "seed-0: stopped" in errors
    assert "the same command goes on from there" in errors
    assert "sid-sidwgt-karras" in printed
    assert "(1 unfinished)" in (tmp_path / "table.md").read_text()

    assert run_ablate(parsed(words)) == 0
    printed = capsys.readouterr().out
    assert steps(missing.folder) == list(range(1, 21))
    assert json.loads((missing.folder / "spec.json").read_text())["objective"]["time"]["law"] == "karras"
    assert {path: path.read_bytes() for path in others} == others
    table = list(csv.DictReader((tmp_path / "table.csv").open()))
    assert table[0] | {"cell": "teacher", "frechet": "0.8"} == table[0]
    own = [row for row in table if row["cell"] == "sid-sidwgt-karras"]
    assert [row["iteration"] for row in own] == ["0", "10", "20"]
    measured = [f.values["frechet"] for f in outcome(missing).figures]
    assert [float(row["frechet"]) for row in own] == [110.0, *measured]
    assert measured[-1] < 110
    assert "| 1 | sim-nowgt-lognormal | – | 10.00 | 11.00 | 90.0 % |" in printed
    assert "Agrees with the paper: sim-nowgt-lognormal is lowest (10.00), ahead of" in printed
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    picture = (tmp_path / "figure.svg").read_text()
    assert all(text in picture for text in ("sidwgt-karras", "nowgt-lognormal", "diff-instruct", "teacher"))


def test_a_cell_that_diverges_is_in_the_table_and_the_rest_is_ranked(tmp_path: Path) -> None:
    wild = {"denoiser_optimizer.learning_rate": 1, "denoiser_optimizer.beta2": 0, "denoiser_optimizer.epsilon": 1e-30}
    words = command(tmp_path, iterations=400, **wild)
    missing = finished_but("diff-instruct", parsed(words))
    assert run_ablate(parsed(words)) == 0
    reason = outcome(missing).failure
    assert "is not finite in iteration" in reason
    table = (tmp_path / "table.md").read_text()
    assert "diff-instruct **(1 failed)**" in table
    assert f"* diff-instruct, seed 0: {reason}" in table
    assert "(1 without a mean: diff-instruct)" in table
    assert [row["cell"] for row in csv.DictReader((tmp_path / "table.csv").open()) if row["failure"]] == [
        "diff-instruct"
    ]


def test_the_ranking_goes_by_the_mean_over_the_seeds_and_failed_cells_come_last() -> None:
    outcomes = [*ended("a", 3, 3), *ended("b", 1, 4), *ended("c", 0.1, failure="not finite")]
    assert [row.cell for row in Report("digits", outcomes, {}).rows()] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("claimed", "other", "told"),
    [
        ((1, 2), (3, 4), "Agrees with the paper: sim-nowgt-lognormal is lowest (1.50 (1.00 – 2.00)), ahead of other"),
        ((1, 2), (3, 4), "other (3.50 (3.00 – 4.00)); their ranges over the seeds do not overlap."),
        ((1,), (3,), "ahead of other (3.00); one seed does not say by chance or not."),
        ((1, 3.5), (3, 4), "; their ranges over the seeds overlap."),
        ((3, 4), (1, 2), "Does not agree with the paper: other is lowest (1.50 (1.00 – 2.00)); sim-nowgt-lognormal"),
        ((3, 4), (1, 2), "is number 2 of 2 (3.50 (3.00 – 4.00)); their ranges over the seeds do not overlap."),
        ((1.5, 4), (1, 2), "(2.75 (1.50 – 4.00)); their ranges over the seeds overlap."),
    ],
)
def test_the_verdict_says_plainly_whether_the_paper_is_right(claimed: Any, other: Any, told: str) -> None:
    outcomes = [*ended("sim-nowgt-lognormal", *claimed), *ended("other", *other)]
    assert told in Report("digits", outcomes, {}).verdict()


def test_points_are_ranked_by_their_own_headline_figure() -> None:
    found = {"sliced_wasserstein": 0.01234, "precision": 0.5, "modes": 8.0}
    outcomes = [Outcome(Cell("sim-nowgt-lognormal", small_spec(), Path()), (Figures(6, 100, found),), True, "")]
    report = Report("eight-gaussians", outcomes, {})
    assert "is the only cell with a mean (0.0123)" in report.verdict()
    assert "| 1 | sim-nowgt-lognormal | 0.0123 | 50.0 % | 8 |" in report.markdown(small_spec(), 1)
    assert report.csv().splitlines()[0].endswith("samples,sliced_wasserstein,precision,modes,failure")


def test_no_verdict_without_the_claimed_cell() -> None:
    outcomes = [*ended("sim-nowgt-lognormal", 1, failure="not finite"), *ended("other", 2, 3)]
    assert "nothing can be said yet" in Report("digits", outcomes, {}).verdict()


def test_a_failed_run_is_told_by_its_last_event(tmp_path: Path) -> None:
    cell = Cell("x", small_spec(), tmp_path)
    EventLog(tmp_path).append(Failed(step=3, reason="the weights are not finite", part="weights"))
    assert (outcome(cell).failure, outcome(cell).finished) == ("the weights are not finite", False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "--seeds must be at least 1"),
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--base", "nope"], "unknown preset 'nope'"),
        (["--base", "cifar10-uncond"], "no teacher 'teachers/edm-cifar10"),
        (["--iterations", "0"], "iterations: Input should be greater"),
        (["--set", "objective.weighting=sid"], "--set objective.weighting: the ablation's cells decide it"),
        (["--set", "batchsize=8"], "no such setting"),
    ],
)
def test_bad_input_is_refused_with_its_reason(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises((CommandError, ValueError), match=message.replace("(", r"\(")):
        run_ablate(parsed([*command(tmp_path / "out"), *words]))
    assert not (tmp_path / "out").exists()


def test_a_teacher_whose_students_cannot_be_measured_is_refused(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED_TEACHERS / "digits", tmp_path / "teacher")
    card = json.loads((tmp_path / "teacher/teacher.json").read_text()) | {"dataset": "other"}
    (tmp_path / "teacher/teacher.json").write_text(json.dumps(card))
    with pytest.raises(CommandError, match="no feature extractor for data set 'other' is bundled"):
        run_ablate(parsed(command(tmp_path / "out", teacher=tmp_path / "teacher")))


def test_folders_of_other_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="holds something other than an ablation"):
        run_ablate(parsed(command(tmp_path)))
    (tmp_path / "ablation.json").write_text("{}}")
    with pytest.raises(ValueError, match="not a readable specification"):
        run_ablate(parsed(command(tmp_path)))
    write_base(tmp_path, base_spec(parsed(command(tmp_path))))
    with pytest.raises(CommandError, match=r"other settings \(iterations, batch_size\)"):
        run_ablate(parsed(command(tmp_path, iterations=21, batch_size=9)))
