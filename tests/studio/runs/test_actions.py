from __future__ import annotations

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client

from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from tests.studio.builders import bring_to


def act(client: Client, run: Any, action: str, **kwargs: Any) -> Any:
    return client.post(f"/runs/{run.pk}/actions/{action}/", **kwargs)


def said(response: HttpResponse) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("state", "action", "state_after", "asked"),
    [
        ("queued", "pause", "paused", ""),
        ("queued", "cancel", "cancelled", ""),
        ("starting", "pause", "pausing", "pause"),
        ("starting", "cancel", "starting", "cancel"),
        ("running", "pause", "pausing", "pause"),
        ("running", "checkpoint", "running", "checkpoint"),
        ("running", "cancel", "running", "cancel"),
        ("pausing", "cancel", "pausing", "cancel"),
        ("paused", "resume", "queued", ""),
        ("paused", "cancel", "cancelled", ""),
        ("failed", "retry", "queued", ""),
        ("cancelled", "retry", "queued", ""),
    ],
)
def test_an_action_is_done_or_passed_on_to_the_worker(
    ada: Client, run: Any, state: str, action: str, state_after: str, asked: str
) -> None:
    bring_to(run, JobState(state))
    response = act(ada, run, action)
    assert (response.status_code, response.url) == (302, f"/runs/{run.pk}/")
    assert said(response) == []
    job = Job.objects.get(pk=run.pk)
    assert (job.state, job.requested_action) == (state_after, asked)
    event = job.events.last()
    assert event is not None
    assert (event.type, event.payload["actor"]) == ("state", "ada")


@pytest.mark.parametrize(
    ("state", "action"),
    [
        ("succeeded", "cancel"),
        ("failed", "pause"),
        ("queued", "resume"),
        ("paused", "checkpoint"),
        ("running", "retry"),
    ],
)
def test_an_action_that_no_longer_applies_is_explained(ada: Client, run: Any, state: str, action: str) -> None:
    bring_to(run, JobState(state))
    response = act(ada, run, action)
    assert said(response) == [f"first is {state} by now: {action} does nothing."]
    assert Job.objects.get(pk=run.pk).state == state
    assert f"first is {state} by now" in ada.get(response.url).content.decode()


def test_the_page_offers_what_the_state_allows(ada: Client, run: Any) -> None:
    bring_to(run, JobState.RUNNING)
    page = ada.get(f"/runs/{run.pk}/").content.decode()
    for action in ("pause", "checkpoint", "cancel"):
        assert f'action="/runs/{run.pk}/actions/{action}/"' in page
    for action in ("resume", "retry"):
        assert f'action="/runs/{run.pk}/actions/{action}/"' not in page


def test_an_action_needs_a_token_against_forgery(user: Any, run: Any) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(user)
    assert act(careful, run, "pause").status_code == 403
    assert Job.objects.get(pk=run.pk).state == "queued"
    careful.get(f"/runs/{run.pk}/")
    token = careful.cookies["csrftoken"].value
    assert act(careful, run, "pause", headers={"X-CSRFToken": token}).status_code == 302
    assert Job.objects.get(pk=run.pk).state == "paused"


def test_an_action_is_never_a_get(ada: Client, run: Any) -> None:
    assert ada.get(f"/runs/{run.pk}/actions/pause/").status_code == 405
    assert Job.objects.get(pk=run.pk).state == "queued"


@pytest.mark.parametrize("path", ["/runs/{pk}/actions/explode/", "/runs/4711/actions/pause/"])
def test_unknown_actions_and_runs_are_not_found(ada: Client, run: Any, path: str) -> None:
    assert ada.post(path.format(pk=run.pk)).status_code == 404
