"""What every endpoint has in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.test import Client


@pytest.mark.parametrize("path", ["", "nothing", "runs/", "runs/x", f"runs/{10**30}"])
def test_an_address_without_anything_is_a_problem_not_a_page(ada: Client, path: str) -> None:
    response = ada.get(f"/api/v1/{path}")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["detail"] == "There is nothing at this address."


def test_other_refusals_are_problems_too(ada: Client, run: Any) -> None:
    not_served = ada.put("/api/v1/runs")
    assert (not_served.status_code, not_served["Allow"]) == (405, "GET, HEAD, POST")
    assert not_served.json()["title"] == "Method Not Allowed"
    assert ada.get("/api/v1/runs", headers={"Accept": "text/html"}).status_code == 406
    assert Client().get("/api/v1/runs", headers={"Host": "evil.example"}).status_code == 400


def test_a_failure_of_the_studio_is_a_problem_without_its_inside(
    ada: Client, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr("studio.api.runs.run_row", fail)
    ada.raise_request_exception = False
    response = ada.get(f"/api/v1/runs/{run.pk}")
    assert response.status_code == 500
    assert response.json()["detail"] == "The studio failed; its log says why."
    assert "inside" not in response.content.decode()


def test_requests_are_counted_and_too_many_wait(ada: Client, redis_server: None, settings: Any) -> None:
    settings.API_REQUESTS_A_MINUTE = 3
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": django_settings.ENVIRONMENT.redis_address(3),
        }
    }
    caches["default"].clear()
    answers = [ada.get("/api/v1/me") for _ in range(7)]  # a minute may end once in between
    last = answers[-1] if answers[-1].status_code == 429 else answers[3]
    assert last.status_code == 429
    assert (last["RateLimit-Limit"], last["RateLimit-Remaining"]) == ("3", "0")
    assert 1 <= int(last["Retry-After"]) <= 60
    assert last["Content-Type"] == "application/problem+json"
    assert answers[0]["RateLimit-Remaining"] == "2"


def test_without_redis_nobody_waits(ada: Client, settings: Any, tmp_path: Path) -> None:
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": f"unix://{tmp_path}/nothing.sock?db=0",
        }
    }
    assert ada.get("/api/v1/me").status_code == 200


# ---- the document


def test_the_document_is_openapi_3_1_and_every_operation_has_words_and_errors(ada: Client) -> None:
    document = ada.get("/api/v1/schema").json()
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path} says what it does"
            assert {"401", "403", "429"} <= operation["responses"].keys()
    assert "/api/v1/runs" in document["paths"]


def test_the_reference_page_takes_nothing_from_elsewhere(ada: Client) -> None:
    page = ada.get("/api/reference/").content.decode()
    assert 'data-schema="/api/v1/schema"' in page
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
