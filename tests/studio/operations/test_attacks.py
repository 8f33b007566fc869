"""The studio as somebody sees it who means harm: each request is answered plainly, and nothing leaks or breaks."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from studio.runs.distillation import run_folder
from studio.runs.models import Checkpoint, SampleGrid
from tests.studio.builders import checkpoint, claim, record, samples, started

ODD = ["\0", "%00", "\ud800", "a" * 20_000, "' OR 1=1 --", "{{7*7}}", "../../etc/passwd", "-1", "1e999", "\r\nX: y"]
PARAMETERS = [
    "/runs/?q={}", "/runs/?state={}", "/runs/?page={}", "/runs/new/?preset={}", "/runs/new/?teacher={}",
    "/sign-in/?next={}", "/api/v1/runs/{pk}/metrics?series={}", "/api/v1/runs/{pk}/metrics?series=a&width={}",
    "/api/v1/runs/{pk}/metrics?series=a&from={}&to={}",
]  # fmt: skip


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_no_value_of_a_parameter_breaks_a_page(ada: Client, run: Any, parameter: str) -> None:
    for value in ODD:
        path, _, query = parameter.format(value, value, pk=run.pk).partition("?")
        names = [part.partition("=")[0] for part in query.split("&")]
        response = ada.get(path, {name: value.encode(errors="surrogatepass") for name in names})
        assert response.status_code in (200, 302, 400, 404), (parameter, value)
        assert "X" not in response.headers


@pytest.mark.parametrize("address", ["/sign-in/", "/runs/new/", "/runs/estimate/", "/password/"])
def test_no_field_breaks_a_form(ada: Client, run: Any, address: str) -> None:
    if address == "/sign-in/":
        ada.logout()
    names = ["username", "password", "preset", "teacher", "name", "batch_size", "old_password", "new_password1", "next"]
    for value in ODD:
        text = value.encode(errors="replace").decode()
        response = ada.post(address, dict.fromkeys(names, text))
        assert response.status_code in (200, 302, 400, 404, 422), (address, value)


@pytest.mark.parametrize("path", ["../../secret_key", "/etc/passwd", "attempts/1/../../../../secret_key"])
def test_a_path_that_leaves_the_runs_folder_gives_no_file(ada: Client, run: Any, path: str) -> None:
    """Whatever wrote such a row, for instance a worker that was taken over."""
    job = claim()
    record(job, started(), samples(0), checkpoint(1))
    SampleGrid.objects.update(path=path)
    Checkpoint.objects.update(path=path)
    (run_folder(job.pk) / "attempts/1").mkdir(parents=True, exist_ok=True)
    assert (run_folder(job.pk) / path).is_file()
    for address in (f"samples/{SampleGrid.objects.get().pk}.png", f"checkpoints/{Checkpoint.objects.get().pk}/"):
        assert ada.get(f"/runs/{job.pk}/{address}").status_code == 404


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_to_no_other_site(client: Client, user: Any, target: str) -> None:
    fields = {"username": "ada", "password": "correct horse", "next": target}
    assert client.post("/sign-in/", fields)["Location"] == "/runs/"
    client.logout()
    assert client.post("/sign-out/", {"next": target})["Location"] == "/sign-in/"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost:80@evil.example", "a b"])
def test_another_host_name_is_refused(client: Client, db: None, host: str) -> None:
    assert client.get("/sign-in/", headers={"Host": host}).status_code == 400


def test_every_post_needs_the_token(user: Any, run: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    for address in ("/runs/new/", "/runs/estimate/", f"/runs/{run.pk}/actions/cancel/", "/password/", "/sign-out/"):
        assert client.post(address).status_code == 403
    run.job.refresh_from_db()
    assert run.job.state == "queued"


def test_a_body_too_large_is_refused(ada: Client, run: Any) -> None:
    assert ada.post("/runs/estimate/", {"name": "x" * 3_000_000}).status_code == 400
    assert ada.post("/runs/estimate/", {f"f{number}": "" for number in range(2_000)}).status_code == 400


def test_deeply_nested_json_is_refused_as_what_it_is(ada: Client, run: Any) -> None:
    deep = "[" * 100_000
    for address in ("/runs/estimate/", f"/api/v1/runs/{run.pk}/metrics"):
        assert ada.post(address, deep, content_type="application/json").status_code in (200, 400, 405)


def test_pages_stay_out_of_shared_caches(ada: Client, run: Any) -> None:
    for address in ("/runs/", f"/runs/{run.pk}/", f"/runs/{run.pk}/log/", f"/api/v1/runs/{run.pk}/metrics?series=a"):
        assert "private" in ada.get(address)["Cache-Control"]


def test_cookies_are_kept_from_scripts_and_other_sites(client: Client, user: Any) -> None:
    client.post("/sign-in/", {"username": "ada", "password": "correct horse"})
    session, token = client.cookies["sessionid"], client.cookies["csrftoken"]
    assert session["httponly"]
    assert session["samesite"] == token["samesite"] == "Lax"


def test_signing_in_changes_the_session(client: Client, user: Any) -> None:
    """A session that somebody else planted is worth nothing afterwards."""
    client.cookies["sessionid"] = "planted" * 4
    client.post("/sign-in/", {"username": "ada", "password": "correct horse"})
    assert client.cookies["sessionid"].value != "planted" * 4
