"""One's own wishes to be told, by script."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from studio.notifications.models import Wishes
from tests.studio.api.test_runs import JSON, errors

ADDRESS = "/api/v1/me/notifications"
HOOK = "https://example.org/hook"


def change(client: Client, **given: Any) -> Any:
    return client.patch(ADDRESS, given, content_type=JSON)


def test_wishes_are_read_and_changed_and_the_rest_stays(ada: Client) -> None:
    before = ada.get(ADDRESS).json()
    standard = {
        "webhook_url": "",
        "email": False,
        "on_success": True,
        "on_failure": True,
        "email_address": "",
        "email_possible": False,
    }
    assert before == standard
    assert change(ada, webhook_url=HOOK).json() == standard | {"webhook_url": HOOK}
    assert change(ada, email_address="ada@example.org").json()["email_address"] == "ada@example.org"
    assert change(ada, email_address="").json()["email_address"] == ""
    assert change(ada, on_success=False).json() == standard | {"webhook_url": HOOK, "on_success": False}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"webhook_url": "http://example.org/"}, 422),
        ({"webhook_url": "nonsense"}, 422),
        ({"webhook_url": "https://a:b@example.org/"}, 422),
        ({"email": True}, 422),
        ({"email_address": "nobody"}, 422),
        ({"webhook_url": "https://example.org/" + "x" * 500}, 400),
        ({"webhook_url": None}, 400),
        ({"on_success": 1}, 400),
        ({"secret": "mine"}, 400),
    ],
)
def test_a_wish_that_cannot_be_is_refused_with_the_reason(ada: Client, given: dict[str, Any], status: int) -> None:
    answer = change(ada, **given)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert status == 422 or list(errors(answer)) == list(given)
    assert not Wishes.objects.exclude(webhook_url="").exists()


def test_a_test_is_sent_on_the_channels_that_are_there(ada: Client) -> None:
    refused = ada.post(f"{ADDRESS}/test")
    assert (refused.status_code, "nothing to test" in refused.json()["detail"]) == (422, True)
    change(ada, webhook_url=HOOK)
    assert (sent := ada.post(f"{ADDRESS}/test")).status_code == 202
    assert sent.json() == {"channels": 1}
    (row,) = ada.get(f"{ADDRESS}/deliveries").json()["results"]
    assert (row["event"], row["channel"], row["state"], row["job"]) == ("test", "webhook", "pending", None)


def test_the_secret_is_shown_by_its_renewal_alone(ada: Client) -> None:
    first, second = (ada.post(f"{ADDRESS}/secret").json()["secret"] for _ in range(2))
    assert first != second == Wishes.objects.get().secret
    assert second not in ada.get(ADDRESS).content.decode()
