"""What holds for every page, whatever it shows."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from simcore.presets import find_preset
from studio.jobs.lifecycle import JobState
from studio.jobs.services import job_end
from studio.runs.models import Run
from studio.runs.services import run_create
from tests.studio.builders import (
    bring_to,
    checkpoint,
    claim,
    evaluation,
    log,
    metrics,
    record,
    samples,
    started,
    token_of,
)

PAGES = [
    *("/runs/", "/runs/new/", "/runs/{pk}/", "/runs/{pk}/log/search/?q=a", "/runs/compare/?runs={pk},4711"),
    *("/runs/groups/", "/runs/groups/new/", "/notifications/", "/password/", "/sign-in/", "/runs/4711/"),
    "/no-such-address/",
]
EVIL = "<script>alert(1)</script>"


def page_of(client: Client, address: str, run: Run) -> Any:
    if address == "/sign-in/":
        client.logout()
    return client.get(address.format(pk=run.pk))


@pytest.mark.parametrize("address", PAGES)
def test_every_page_carries_the_headers_that_keep_browsers_safe(ada: Client, run: Run, address: str) -> None:
    response = page_of(ada, address, run)
    policy = response["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert directives["object-src"] == "'none'"
    assert directives["base-uri"] == "'none'"
    assert directives["form-action"] == "'self'"
    assert "unsafe" not in policy
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.parametrize("address", PAGES)
def test_no_page_needs_what_the_policy_forbids(ada: Client, run: Run, address: str) -> None:
    page = page_of(ada, address, run).content.decode()
    assert not re.search(r"\son\w+=", page), "an inline event handler"
    assert not re.search(r"\sstyle=|<style", page), "an inline style"
    assert not re.search(r"<script(?![^>]*\ssrc=)", page), "an inline script"
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page), "something from another site"


@pytest.mark.parametrize("address", PAGES)
def test_every_page_has_a_title_a_language_and_one_main_heading(ada: Client, run: Run, address: str) -> None:
    page = page_of(ada, address, run).content.decode()
    assert '<html lang="en">' in page
    assert re.search(r"<title>\S.* · SIM Studio</title>", page)
    assert len(re.findall(r"<h1[ >]", page)) == 1


@pytest.mark.parametrize("address", ["/runs/4711/", "/no-such-address/", f"/runs/{10**30}/", f"/runs/{10**30}/log/"])
def test_what_does_not_exist_is_not_found(ada: Client, run: Run, address: str) -> None:
    response = ada.get(address)
    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


@pytest.mark.parametrize("state", list(JobState))
def test_the_page_of_a_run_renders_in_every_state(ada: Client, run: Run, state: JobState) -> None:
    bring_to(run, state)
    page = ada.get(f"/runs/{run.pk}/").content.decode()
    assert f'data-state="{state.value}"' in page


def test_the_page_of_a_run_shows_what_it_recorded(ada: Client, run: Run) -> None:
    job = claim("host:1")
    record(job, started(device="cpu"), samples(0, "teacher"), samples(0), evaluation(0, "teacher", frechet=1.25))
    record(
        job, log("noise levels are clamped"), metrics(1, student_loss=2.0, seconds_per_iteration=0.25), checkpoint(1)
    )
    job_end(job.pk, token_of(job), JobState.FAILED, reason="the student's loss is not finite at step 2")
    page = ada.get(f"/runs/{run.pk}/").content.decode()
    for text in ("noise levels are clamped", "host:1", "the student&#x27;s loss is not finite at step 2", "1.25"):
        assert text in page
    assert "attempts/1" not in page  # where files lie is nobody's business
    assert len(re.findall(rf"/runs/{run.pk}/samples/\d+\.png", page)) >= 2
    assert re.search(rf'href="/runs/{run.pk}/checkpoints/\d+/"', page)


def test_the_page_marks_what_differs_from_the_preset(ada: Client, user: Any, teacher: Any, redis_server: None) -> None:
    spec = find_preset("digits-demo").spec
    changed = spec.model_copy(update={"batch_size": 32})
    plain = run_create(owner=user, name="plain", preset="digits-demo", spec=spec)
    other = run_create(owner=user, name="other", preset="digits-demo", spec=changed)
    assert 'class="differs"' not in ada.get(f"/runs/{plain.pk}/").content.decode()
    page = ada.get(f"/runs/{other.pk}/").content.decode()
    assert page.count('class="differs"') == 1
    assert re.search(r"32.*preset 64", page)


def test_html_in_names_reasons_and_logs_is_text(ada: Client, user: Any, run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(name=EVIL)
    job = claim()
    record(job, started(device=EVIL[:20]), log(EVIL))
    job_end(job.pk, token_of(job), JobState.FAILED, reason=EVIL)
    for address in ("/runs/", f"/runs/{run.pk}/"):
        page = ada.get(address).content.decode()
        assert EVIL not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    ada.post(f"/runs/{run.pk}/actions/cancel/")
    assert EVIL not in ada.get(f"/runs/{run.pk}/").content.decode()
