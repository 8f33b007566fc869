"""The Python client against a studio that listens."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches

from studio.accounts.models import Role, Scope, User
from studio.accounts.tokens import token_create
from studio.client import ApiError, Client, DownloadFailed, Unreachable
from studio.common import rates
from studio.environment import PROJECT
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.models import Run
from tests.stack import free_port
from tests.studio.builders import announce, metrics, record, token_of
from tests.studio.client.conftest import CONTENT, BreakingLine, checkpoint_file, meanwhile

Breaking = Callable[..., BreakingLine]


def test_it_needs_neither_the_studio_nor_torch() -> None:
    code = (
        "import sys, studio.client.main; "
        "alien = ('django', 'rest_framework', 'torch', 'simcore'); "
        "print(*(name for name in sys.modules if name.split('.')[0] in alien "
        "or (name.startswith('studio.') and not name.startswith('studio.client'))))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PROJECT)
    assert result.stdout == "\n"


def test_a_run_is_launched_read_and_acted_on(client: Client) -> None:
    run = client.run_create("digits-demo", name="L1", settings={"objective.distance": "l1"})
    assert (run["name"], run["state"], run["settings"]["objective.distance"]) == ("L1", "queued", "l1")
    assert client.run(run["id"]) == run
    assert client.run_act(run["id"], "cancel")["state"] == "cancelled"
    assert [row["id"] for row in client.runs(state="cancelled")] == [run["id"]]
    assert list(client.runs(state="running")) == []
    assert client.me()["username"] == "ada"
    assert "digits-demo" in [preset["name"] for preset in client.presets()]
    assert [teacher["reference"] for teacher in client.teachers()] == ["bundled:digits"]


def test_a_group_is_queued_and_the_queue_reordered(client: Client, url: str) -> None:
    group = client.group_create("sweep", "digits-demo", name="two", axes={"batch_size": [16, 32]})
    assert [row["id"] for row in client.groups()] == [group["id"]]
    assert len(client.group(group["id"])["cells"]) == 2
    chief = User.objects.create_user("chief", role=Role.ADMINISTRATOR)
    administrator = Client(url, token_create(user=chief, name="tests", scope=Scope.ADMIN)[1])
    before = [job["id"] for job in client.queue()]
    administrator.queue_move(before[1], "first")
    assert [job["id"] for job in client.queue()] == before[::-1]
    with pytest.raises(ApiError) as refused:
        client.queue_move(before[1], "last")
    assert refused.value.status == 403
    worker = announce("worker-1").pk
    assert administrator.worker_drain(worker)["state"] == "draining"
    assert administrator.worker_drain(worker, draining=False)["state"] == "active"
    assert [row["id"] for row in client.workers()] == [worker]


def test_lists_are_read_page_by_page(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studio.client.api.PAGE_SIZE", 2)
    made = [client.run_create("digits-demo")["id"] for _ in range(5)]
    assert [row["id"] for row in client.runs()] == made[::-1]


def test_a_refusal_carries_the_problem(client: Client) -> None:
    with pytest.raises(ApiError) as refused:
        client.run_create("digits-demo", settings={"iterations": 0})
    assert (refused.value.status, refused.value.title) == (422, "Unprocessable Entity")
    assert list(refused.value.errors) == ["settings.iterations"]
    assert "settings.iterations: " in str(refused.value)
    with pytest.raises(ApiError) as missing:
        client.run(10**9)
    assert missing.value.status == 404


def test_an_unknown_token_is_told(url: str) -> None:
    with pytest.raises(ApiError, match="unknown, revoked or expired") as refused:
        Client(url, "sim_nothing").me()
    assert refused.value.status == 401


def test_where_nobody_listens_it_says_so() -> None:
    with pytest.raises(Unreachable, match=r"does not answer: .*refused"):
        Client(f"http://127.0.0.1:{free_port()}", "sim_x", tries=2).me()


def test_what_is_no_studio_is_told(url: str, token: str) -> None:
    with pytest.raises(Unreachable, match="not as a SIM Studio does"):
        Client(f"{url}/nothing/here", token).me()


@pytest.mark.parametrize("wrong", ["127.0.0.1:8000", "ftp://host", "http://", ""])
def test_an_address_that_is_none_is_refused_at_once(wrong: str) -> None:
    with pytest.raises(ValueError, match="right would be http://"):
        Client(wrong, "sim_x")


# ---- trying again


def test_a_launch_whose_answer_was_lost_is_sent_again_and_creates_one_run(token: str, breaking: Breaking) -> None:
    line = breaking(0)
    run = Client(line.url, token).run_create("digits-demo")
    assert line.connections == 2
    assert list(Run.objects.values_list("pk", flat=True)) == [run["id"]]


def test_an_action_whose_answer_was_lost_is_not_repeated(client: Client, token: str, breaking: Breaking) -> None:
    run = client.run_create("digits-demo")
    line = breaking(0)
    with pytest.raises(Unreachable):
        Client(line.url, token).run_act(run["id"], "cancel")
    assert line.connections == 1


def test_too_many_requests_wait_as_long_as_the_studio_says(
    client: Client, url: str, token: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_REQUESTS_A_MINUTE = 2
    monkeypatch.setattr(rates, "WINDOW_SECONDS", 2)
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": django_settings.ENVIRONMENT.redis_address(3),
        }
    }
    caches["default"].clear()
    impatient = Client(url, token, tries=1)
    refused = [status for _ in range(6) if (status := _status(impatient))]
    assert set(refused) == {429}
    assert [client.me()["username"] for _ in range(3)] == ["ada"] * 3


def _status(client: Client) -> int:
    try:
        client.me()
        return 0
    except ApiError as error:
        return error.status


# ---- downloads


def test_a_checkpoint_is_downloaded_and_the_second_time_found(
    client: Client, trained: tuple[Run, Job], tmp_path: Path
) -> None:
    run, heard = trained[0].pk, list[int]()
    best = client.checkpoints(run)[0]
    target = tmp_path / "deep" / "student.safetensors"
    assert client.download(run, best, target, tell=heard.append).read_bytes() == CONTENT
    assert heard[-1] == len(CONTENT)
    assert client.download(run, best, target) == target
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    with pytest.raises(FileExistsError, match="another file"):
        client.download(run, client.checkpoints(run)[1], target)
    assert target.read_bytes() == CONTENT


def test_a_download_that_is_cut_goes_on_where_it_was(
    client: Client, token: str, trained: tuple[Run, Job], breaking: Breaking, tmp_path: Path
) -> None:
    run = trained[0].pk
    best, line, heard = client.checkpoints(run)[0], breaking(1 << 20, 1 << 20), list[int]()
    target = Client(line.url, token).download(run, best, tmp_path / "student.safetensors", tell=heard.append)
    assert target.read_bytes() == CONTENT
    assert line.connections == 3
    assert heard == sorted(heard), "nothing came twice"


def test_a_download_goes_on_in_another_call(client: Client, trained: tuple[Run, Job], tmp_path: Path) -> None:
    run, heard = trained[0].pk, list[int]()
    best, target = client.checkpoints(run)[0], tmp_path / "student.safetensors"
    part = target.with_name(f"{target.name}.{best['sha256'][:12]}.part")
    part.write_bytes(CONTENT[: 2 << 20])
    client.download(run, best, target, tell=heard.append)
    assert (heard[0], target.read_bytes()) == (2 << 20, CONTENT)


@pytest.mark.parametrize("cut", [0, 1 << 20])
def test_a_file_that_is_damaged_gets_no_name(
    client: Client, trained: tuple[Run, Job], tmp_path: Path, cut: int
) -> None:
    run = trained[0].pk
    best, target = client.checkpoints(run)[0], tmp_path / "student.safetensors"
    damaged = bytearray(CONTENT)
    damaged[5] ^= 1
    checkpoint_file(run, 2).write_bytes(bytes(damaged))
    if cut:
        target.with_name(f"{target.name}.{best['sha256'][:12]}.part").write_bytes(bytes(damaged[:cut]))
    with pytest.raises(DownloadFailed, match="SHA-256"):
        client.download(run, best, target)
    assert list(tmp_path.glob("student*")) == []


# ---- following


def test_following_tells_each_point_once_until_the_end(client: Client, trained: tuple[Run, Job]) -> None:
    run, job = trained

    def train_on() -> None:
        record(job, metrics(5, student_loss=2.0), metrics(6, student_loss=1.0))
        time.sleep(0.3)
        job_end(job.pk, token_of(job), JobState.FAILED, reason="the loss is not finite")

    news = client.follow(run.pk, seconds=0.05)
    told = [next(news)]
    trainer = meanwhile(train_on)
    told += news
    trainer.join()
    steps = [step for one in told for step in one.series.get("student_loss", {"step": []})["step"]]
    assert steps == [1, 2, 5, 6]
    assert (told[0].run["state"], told[-1].run["state"]) == ("running", "failed")
    assert told[-1].run["reason"] == "the loss is not finite"
    assert len(told) <= 4, "what has not changed is not told"


def test_following_outlives_a_studio_that_is_away(token: str, trained: tuple[Run, Job], breaking: Breaking) -> None:
    run, job = trained
    line = breaking()
    watcher = Client(line.url, token, tries=1).follow(run.pk, seconds=0.05, patience=30)
    assert next(watcher).run["state"] == "running"
    line.hang_up(times=3)
    job_end(job.pk, token_of(job), JobState.CANCELLED)
    assert [news.run["state"] for news in watcher] == ["cancelled"]
    assert line.connections == 5


def test_following_gives_up_once_patience_is_out(token: str, trained: tuple[Run, Job], breaking: Breaking) -> None:
    line = breaking()
    watcher = Client(line.url, token, tries=1).follow(trained[0].pk, seconds=0.05, patience=0.2)
    next(watcher)
    line.hang_up(times=1000)
    with pytest.raises(Unreachable):
        next(watcher)
