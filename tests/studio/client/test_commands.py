"""`simstudio` as people and scripts start it: processes, their output and exit codes."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from studio.catalog.models import Dataset, Upload
from studio.celery import LIGHT_QUEUE
from studio.client import Client
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.models import Run
from tests.stack import free_port, wait_for
from tests.studio.builders import bring_to, claim, log, metrics, record, token_of
from tests.studio.catalog.conftest import images_zip
from tests.studio.client.conftest import CONTENT, Terminal, meanwhile
from workers.attempt import run_attempt

SIGNED_OUT = {"SIMSTUDIO_URL": "", "SIMSTUDIO_TOKEN": ""}


# ---- signing in


def test_login_keeps_address_and_token_for_their_owner_alone(simstudio: Terminal, url: str) -> None:
    signed_in = simstudio("login")
    assert (signed_in.returncode, signed_in.stderr) == (0, "")
    assert f"Signed in to {url} as ada (researcher)" in signed_in.stdout
    kept = simstudio.home / "simstudio" / "credentials.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert simstudio("runs", "list", **SIGNED_OUT).returncode == 0
    elsewhere = simstudio("runs", "list", SIMSTUDIO_TOKEN="", SIMSTUDIO_URL=f"http://127.0.0.1:{free_port()}")
    assert (elsewhere.returncode, "no token of http://127.0.0.1" in elsewhere.stderr) == (3, True)
    assert simstudio.json("logout") == {"forgotten": True}
    signed_out = simstudio("runs", "list", **SIGNED_OUT)
    assert (signed_out.returncode, signed_out.stdout) == (3, "")
    assert "simstudio login" in signed_out.stderr


def test_login_asks_in_a_terminal_and_hides_the_token(simstudio: Terminal, url: str, token: str) -> None:
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "studio.client", "login"]
    environment = simstudio.variables | SIGNED_OUT
    with subprocess.Popen(
        command, env=environment, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        assert process.stderr
        for question, answer in (("Address", url), ("Token", token)):
            asked = b""
            while not asked.endswith(b": "):
                asked += process.stderr.read(1)
            assert question in asked.decode()
            os.write(keyboard, f"{answer}\n".encode())
        assert b"as ada (researcher)" in process.stdout.read()
        assert token.encode() not in process.stderr.read()
    echoed = os.read(keyboard, 10_000)
    assert url.encode() in echoed
    assert token.encode() not in echoed
    os.close(keyboard)
    os.close(terminal)


@pytest.mark.parametrize(
    ("variables", "code", "word"),
    [
        ({"SIMSTUDIO_TOKEN": "sim_wrong"}, 3, "unknown, revoked or expired"),
        ({"SIMSTUDIO_TOKEN": ""}, 2, "nobody can be asked here"),
        ({"SIMSTUDIO_URL": "studio.example"}, 2, "not the address of a studio"),
    ],
)
def test_a_login_that_does_not_work_keeps_nothing(
    simstudio: Terminal, variables: dict[str, str], code: int, word: str
) -> None:
    refused = simstudio("login", **variables)
    assert (refused.returncode, refused.stdout) == (code, "")
    assert word in refused.stderr
    assert list(simstudio.home.iterdir()) == []


def test_a_damaged_credentials_file_is_told(simstudio: Terminal) -> None:
    kept = simstudio.home / "simstudio" / "credentials.json"
    kept.parent.mkdir()
    kept.write_text("{")
    refused = simstudio("presets", **SIGNED_OUT)
    assert (refused.returncode, "cannot be read; run “simstudio login” again" in refused.stderr) == (3, True)


# ---- runs


def test_a_run_is_launched_listed_shown_and_acted_on(simstudio: Terminal) -> None:
    said = simstudio("runs", "create", "--preset", "digits-demo", "--name", "L1", "--set", "objective.distance=l1")
    assert (said.returncode, said.stderr) == (0, "")
    run = Run.objects.get()
    assert said.stdout == f"Run {run.pk} (L1) is queued\n"
    assert run.job.spec["objective"]["distance"] == "l1"
    assert simstudio("runs", "list").stdout.splitlines()[1].split("\t")[:4] == [str(run.pk), "L1", "queued", "0/2500"]
    assert simstudio.json("runs", "show", "L1")["id"] == run.pk
    shown = simstudio("runs", "show", str(run.pk)).stdout
    assert "objective.distance" in shown
    assert simstudio.json("runs", "pause", "L1")["state"] == "paused"
    assert [row["id"] for row in simstudio.json("runs", "list", "--state", "paused")] == [run.pk]
    assert simstudio.json("runs", "list", "--state", "running") == []


def test_a_run_is_cloned_with_changes_tagged_and_put_away(simstudio: Terminal, client: Client) -> None:
    origin = client.run_create("digits-demo", name="origin", settings={"batch_size": 64})["id"]
    made = simstudio.json("runs", "clone", "origin", "--name", "copy", "--set", "seed=3", "--tag", "a", "--tag", "b")
    assert (made["settings"]["batch_size"], made["settings"]["seed"], made["tags"]) == (64, 3, ["a", "b"])
    assert [row["id"] for row in simstudio.json("runs", "list", "--tag", "a")] == [made["id"]]
    client.run_act(origin, "cancel")
    said = simstudio("runs", "edit", str(origin), "--name", "first", "--archive")
    assert (said.returncode, said.stdout) == (0, f"Run {origin} (first): name, archived changed\n")
    assert [row["name"] for row in simstudio.json("runs", "list")] == ["copy"]
    assert [row["name"] for row in simstudio.json("runs", "list", "--archived", "only")] == ["first"]
    refused = simstudio("runs", "create", "--preset", "digits-demo", "--tag", "a,b")
    assert (refused.returncode, "is launched, but without its tags" in refused.stderr) == (1, True)
    assert simstudio("runs", "edit", "first").returncode == 2


def test_workers_and_the_queue_are_listed(simstudio: Terminal, client: Client) -> None:
    held, waiting = (client.run_create("digits-demo", name=name)["id"] for name in ("held", "waiting"))
    bring_to(Run.objects.get(pk=held), JobState.RUNNING)
    (worker,) = simstudio.json("workers")
    assert ([job["name"] for job in worker["jobs"]], worker["state"]) == (["held"], "active")
    assert [job["id"] for job in simstudio.json("queue")] == [waiting]
    assert "CPU (64 GiB)" in simstudio("workers").stdout
    assert "waiting\t" in simstudio("queue").stdout


def test_what_the_studio_refuses_names_the_setting(simstudio: Terminal) -> None:
    refused = simstudio("runs", "create", "--preset", "digits-demo", "--set", "iterations=0", "--json")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: ")
    assert "settings.iterations: " in refused.stderr
    conflict = simstudio("runs", "show", "12345")
    assert (conflict.returncode, conflict.stdout) == (1, "")


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "create"),
        ("runs", "create", "--preset", "digits-demo", "--set", "iterations"),
        ("runs", "list", "--state", "asleep"),
        ("runs", "create", "--preset", "digits-demo", "--set", "=5"),
        ("runs", "download", "1", "--best", "--step", "3"),
        ("datasets", "import", "nothing.zip"),
        ("dance",),
    ],
)
def test_wrong_usage_is_exit_code_2(simstudio: Terminal, words: tuple[str, ...]) -> None:
    wrong = simstudio(*words)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "Error: " in wrong.stderr


def test_a_name_that_two_runs_have_is_not_guessed(simstudio: Terminal, client: Client) -> None:
    first, second = (client.run_create("digits-demo", name="twin")["id"] for _ in range(2))
    refused = simstudio("runs", "cancel", "twin")
    assert (refused.returncode, f"{second}, {first}" in refused.stderr) == (1, True)
    assert "no run is called “twi”" in simstudio("runs", "cancel", "twi").stderr
    assert not Job.objects.exclude(state=JobState.QUEUED).exists()


def test_a_name_does_not_command_the_terminal(simstudio: Terminal, client: Client) -> None:
    client.run_create("digits-demo", name="[red]\x1b[31mred\tand\nblue")
    line = simstudio("runs", "list").stdout.splitlines()[1]
    assert line.split("\t")[1] == "[red]�[31mred and blue"


def test_a_followed_run_that_fails_says_why_and_exits_with_1(simstudio: Terminal, trained: tuple[Run, Job]) -> None:
    run, job = trained

    def train_on() -> None:
        time.sleep(1.5)
        record(job, metrics(5, student_loss=0.5))
        job_end(job.pk, token_of(job), JobState.FAILED, reason="the loss is not finite")

    trainer = meanwhile(train_on)
    result = simstudio("runs", "follow", "trained", "--json")
    trainer.join()
    assert (result.returncode, result.stderr) == (1, f"error: run {run.pk} has failed: the loss is not finite\n")
    news = [json.loads(line) for line in result.stdout.splitlines()]
    assert (news[0]["run"]["state"], news[-1]["run"]["state"]) == ("running", "failed")
    assert news[0]["series"]["student_loss"]["mean"] == [4.0, 3.0]
    assert news[-1]["series"]["student_loss"]["mean"] == [0.5]


def test_a_followed_run_that_succeeds_tells_its_figure(simstudio: Terminal, trained: tuple[Run, Job]) -> None:
    run, job = trained
    job_end(job.pk, token_of(job), JobState.SUCCEEDED, result={})
    result = simstudio("runs", "follow", str(run.pk))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == f"Run {run.pk} (trained) has succeeded: frechet 2.5"


def test_logs_are_printed_and_followed_to_the_end(simstudio: Terminal, trained: tuple[Run, Job]) -> None:
    job = trained[1]
    record(job, log("hello \x1b[31m"))
    whole = simstudio("runs", "logs", "trained")
    assert "hello �[31m" in whole.stdout
    assert simstudio.json("runs", "logs", "trained")["lines"][0] in whole.stdout

    def cancel() -> None:
        time.sleep(1.5)
        job_end(job.pk, token_of(job), JobState.CANCELLED)

    worker = meanwhile(cancel)
    followed = simstudio("runs", "logs", "trained", "--follow")
    worker.join()
    assert followed.returncode == 0
    assert followed.stdout.startswith(whole.stdout)
    assert "cancelled" in followed.stdout.splitlines()[-1]


def test_the_best_or_the_newest_student_is_fetched(simstudio: Terminal, trained: tuple[Run, Job]) -> None:
    run = trained[0].pk
    best = simstudio.json("runs", "download", "trained", "--best", "--out", "best.safetensors")
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert best == {"run": run, "path": "best.safetensors", "step": 2, "size": len(CONTENT), "sha256": digest}
    assert (simstudio.home / "best.safetensors").read_bytes() == CONTENT
    newest = simstudio("runs", "download", "trained")
    assert newest.stdout == f"run-{run}-step-4.safetensors: step 4, 6 bytes\n"
    assert "there are: 2, 4" in simstudio("runs", "download", "trained", "--step", "3").stderr
    taken = simstudio("runs", "download", "trained", "--out", "best.safetensors")
    assert (taken.returncode, "another file" in taken.stderr) == (1, True)


def test_figures_are_a_table(simstudio: Terminal, trained: tuple[Run, Job]) -> None:
    table = [line.split("\t") for line in simstudio("runs", "evaluations", "trained").stdout.splitlines()]
    assert table == [
        ["step", "source", "frechet", "samples"], ["2", "student", "1.5", "100"], ["4", "student", "2.5", "100"],
    ]  # fmt: skip


def test_a_run_without_checkpoints_says_so(simstudio: Terminal, client: Client) -> None:
    bring_to(Run.objects.get(pk=client.run_create("digits-demo", name="young")["id"]), JobState.RUNNING)
    refused = simstudio("runs", "download", "young")
    assert (refused.returncode, "has no checkpoint yet" in refused.stderr) == (1, True)


# ---- the catalogue


def test_presets_teachers_and_data_sets_are_listed(simstudio: Terminal) -> None:
    assert "digits-demo" in [row["name"] for row in simstudio.json("presets")]
    assert [row["reference"] for row in simstudio.json("teachers", "list")] == ["bundled:digits"]
    assert simstudio.json("datasets", "list") == []


def worked() -> threading.Thread:
    """A worker of imports, for one of them."""

    def work() -> None:
        wait_for(lambda: Job.objects.filter(queue=LIGHT_QUEUE).exists(), 30, "an import is queued")
        run_attempt(claim("light", LIGHT_QUEUE), threading.Event())

    return meanwhile(work)


def test_a_data_set_is_sent_and_imported(simstudio: Terminal, tmp_path: Path) -> None:
    (simstudio.home / "mine.zip").write_bytes(images_zip(tmp_path))
    worker = worked()
    result = simstudio("datasets", "import", "mine.zip", "--title", "Mine", "--licence", "CC0-1.0")
    worker.join()
    assert (result.returncode, result.stderr) == (0, "")
    dataset = Dataset.objects.get()
    assert (dataset.title, dataset.licence) == ("Mine", "CC0-1.0")
    assert dataset.reference in result.stdout
    again = simstudio("datasets", "import", "mine.zip")
    assert (again.returncode, "Mine" in again.stderr) == (1, True)


def test_a_file_that_is_refused_says_why(simstudio: Terminal) -> None:
    (simstudio.home / "bad.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    worker = worked()
    result = simstudio("datasets", "import", "bad.zip", "--json")
    worker.join()
    assert result.returncode == 1
    assert json.loads(result.stdout)["entry"] is None
    assert json.loads(result.stdout)["verdict"] in result.stderr


def test_a_file_of_the_import_folder_is_not_sent(simstudio: Terminal, settings: Any, tmp_path: Path) -> None:
    settings.IMPORT_FOLDER = tmp_path / "incoming"
    settings.IMPORT_FOLDER.mkdir()
    images_zip(settings.IMPORT_FOLDER)
    worker = worked()
    found = simstudio.json("datasets", "import", "images-0.zip", "--on-server", "--title", "There")
    worker.join()
    assert (found["entry"]["title"], Upload.objects.exists()) == ("There", False)
    missing = simstudio("datasets", "import", "nothing.zip", "--on-server")
    assert (missing.returncode, missing.stdout) == (1, "")


def test_weights_alone_need_their_network(simstudio: Terminal) -> None:
    (simstudio.home / "net.json").write_text("[]")
    (simstudio.home / "weights.safetensors").write_bytes(save({"weight": torch.zeros(2)}))
    wrong = simstudio("teachers", "import", "weights.safetensors", "--network", "net.json")
    assert (wrong.returncode, "holds no JSON object" in wrong.stderr) == (2, True)
    refused = simstudio("teachers", "import", "weights.safetensors")
    assert (refused.returncode, "network" in refused.stderr) == (1, True)
    assert Upload.objects.get().complete, "the next call need not send it again"


def test_an_upload_that_broke_off_goes_on(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "large.zip"
    file.write_bytes(b"PK\x03\x04" + CONTENT * 3)

    class Enough(Exception):
        pass

    def stop(here: int) -> None:
        raise Enough

    with pytest.raises(Enough):
        client.upload(file, tell=stop)
    assert Upload.objects.get().offset == 4 << 20
    heard: list[int] = []
    row = client.upload(file, tell=heard.append)
    assert (heard[0], row["complete"], Upload.objects.count()) == (8 << 20, True, 1)
