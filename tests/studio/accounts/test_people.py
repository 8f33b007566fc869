"""Joining by a link, roles, leaving, new passwords: by the pages that administrators use."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from studio.accounts.models import AccountLink, AuditAction, AuditEntry, Role, User
from studio.accounts.services import (
    PeopleError,
    invitation_accept,
    invitation_create,
    link_find,
    person_deactivate,
    person_set_role,
)
from tests.studio.builders import at_once

PASSWORD = "a long enough secret"


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_user("adam", password=PASSWORD, role=Role.ADMINISTRATOR)


@pytest.fixture
def desk(admin: User) -> Client:
    """The browser of that administrator."""
    client = Client()
    client.force_login(admin)
    return client


def link_in(response: Any) -> str:
    """The path of the link that a page shows."""
    match = re.search(r'value="http://testserver(/link/[^"]+)"', response.content.decode())
    assert match, "the page shows a link"
    return match[1]


def join(client: Client, path: str, name: str = "nora", password: str = PASSWORD) -> Any:
    return client.post(path, {"username": name, "password1": password, "password2": password})


def test_somebody_joins_by_a_link_in_the_role_that_it_was_made_for(client: Client, desk: Client) -> None:
    path = link_in(desk.post("/people/invite/", {"role": "researcher"}))
    assert "researcher" in client.get(path).content.decode()
    assert join(client, path)["Location"] == "/sign-in/"
    assert client.login(username="nora", password=PASSWORD)
    assert User.objects.get(username="nora").role == Role.RESEARCHER


def test_a_link_works_once_and_its_secret_is_not_kept(client: Client, desk: Client) -> None:
    path = link_in(desk.post("/people/invite/", {"role": "viewer"}))
    secret = path.strip("/").split("/")[1]
    assert secret not in str(AccountLink.objects.values())
    assert secret not in desk.get("/people/").content.decode()
    join(client, path)
    again = join(client, path, name="second")
    assert again.status_code == 410
    assert "This link does not work" in again.content.decode()
    assert not User.objects.filter(username="second").exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_link_at_once_one_joins(admin: User) -> None:
    _, secret = invitation_create(role=Role.VIEWER, actor=admin)
    links = [link_find(secret), link_find(secret)]

    def accept(number: int) -> Any:
        link = links[number]
        assert link is not None
        return invitation_accept(link, username=f"twin{number}", password=PASSWORD)

    results = at_once(lambda: accept(0), lambda: accept(1))
    assert sorted(type(result).__name__ for result in results) == ["PeopleError", "User"]
    assert User.objects.filter(username__startswith="twin").count() == 1


def test_a_link_that_expired_or_was_withdrawn_is_dead(client: Client, desk: Client) -> None:
    expired = link_in(desk.post("/people/invite/", {"role": "viewer"}))
    AccountLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    withdrawn = link_in(desk.post("/people/invite/", {"role": "viewer"}))
    desk.post(f"/people/invitations/{AccountLink.objects.latest('pk').pk}/withdraw/")
    orphaned = link_in(desk.post("/people/invite/", {"role": "administrator"}))
    User.objects.filter(username="adam").update(role=Role.RESEARCHER)
    for path in (expired, withdrawn, orphaned, "/link/never-was/"):
        assert client.get(path).status_code == join(client, path).status_code == 410
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "password", "said"),
    [
        ("ADAM", PASSWORD, "Somebody has this name already"),
        ("a b", PASSWORD, "Enter a valid username"),
        ("", PASSWORD, "This field is required"),
        ("nora", "short", "too short"),
        ("noraanders", "noraanders", "too similar to the username"),
    ],
)
def test_what_is_wrong_is_said_and_the_link_still_works(
    client: Client, desk: Client, name: str, password: str, said: str
) -> None:
    path = link_in(desk.post("/people/invite/", {"role": "viewer"}))
    response = join(client, path, name, password)
    assert response.status_code == 422
    assert said in response.content.decode()
    assert join(client, path).status_code == 302


def test_a_password_link_replaces_the_password_and_ends_the_sessions(client: Client, desk: Client, user: Any) -> None:
    client.force_login(user)
    first = link_in(desk.post(f"/people/{user.pk}/password-link/"))
    path = link_in(desk.post(f"/people/{user.pk}/password-link/"))
    visitor = Client()
    assert visitor.get(first).status_code == 410, "only the newest link works"
    visitor.post(path, {"password1": PASSWORD, "password2": PASSWORD})
    assert visitor.login(username="ada", password=PASSWORD)
    assert not Client().login(username="ada", password="correct horse")
    assert client.get("/runs/").status_code == 302, "whoever was signed in has to do so again"


def test_roles_change_and_people_leave_and_come_back(desk: Client, user: Any) -> None:
    desk.post(f"/people/{user.pk}/role/", {"role": "viewer"})
    desk.post(f"/people/{user.pk}/deactivate/")
    user.refresh_from_db()
    assert (user.role, user.is_active) == (Role.VIEWER, False)
    assert "deactivated" in desk.get("/people/").content.decode()
    assert not Client().login(username="ada", password="correct horse")
    desk.post(f"/people/{user.pk}/reactivate/")
    assert Client().login(username="ada", password="correct horse")


def test_nobody_locks_themselves_out(desk: Client, admin: User) -> None:
    response = desk.post(f"/people/{admin.pk}/deactivate/", follow=True)
    assert "You cannot deactivate yourself" in response.content.decode()
    desk.post(f"/people/{admin.pk}/role/", {"role": "viewer"})
    admin.refresh_from_db()
    assert (admin.role, admin.is_active) == (Role.ADMINISTRATOR, True)


@pytest.mark.django_db(transaction=True)
def test_two_administrators_who_demote_each_other_at_once_leave_one() -> None:
    one, two = (User.objects.create_user(name, role=Role.ADMINISTRATOR) for name in ("one", "two"))
    results = at_once(lambda: person_set_role(one, Role.VIEWER, actor=two), lambda: person_deactivate(two, actor=one))
    assert [type(result) for result in results].count(PeopleError) == 1
    assert User.objects.filter(role=Role.ADMINISTRATOR, is_active=True).count() == 1


def test_the_list_takes_as_many_queries_for_a_thousand_people_as_for_ten(
    desk: Client, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(8):
        desk.get("/people/")
    User.objects.bulk_create(User(username=f"person{number}") for number in range(1_000))
    with django_assert_max_num_queries(8):
        page = desk.get("/people/?page=2").content.decode()
    assert "Page 2 of 11" in page


def test_pages_hide_what_a_role_may_not_do(client: Client, run: Any) -> None:
    client.force_login(User.objects.create_user("vic", role=Role.VIEWER))
    page = client.get(f"/runs/{run.pk}/").content.decode()
    assert "/actions/" not in page
    for address in ("/runs/new/", "/people/"):
        assert f'href="{address}"' not in page
    assert client.get("/runs/new/").status_code == 403
    assert "Your role does not allow you to launch runs." in client.get("/runs/new/").content.decode()


# ---- the audit log


def test_the_log_says_who_did_what_from_where(client: Client, desk: Client, user: Any, run: Any) -> None:
    client.post("/sign-in/", {"username": "ada", "password": "wrong"}, REMOTE_ADDR="10.1.2.3")
    client.post("/sign-in/", {"username": "ada", "password": "correct horse"}, REMOTE_ADDR="10.1.2.3")
    client.post(f"/runs/{run.pk}/actions/pause/", REMOTE_ADDR="10.1.2.3")
    client.post("/sign-out/", REMOTE_ADDR="10.1.2.3")
    desk.post(f"/people/{user.pk}/role/", {"role": "viewer"})
    rows = AuditEntry.objects.exclude(actor="adam").order_by("pk").values_list("actor", "action", "subject", "address")
    assert list(rows) == [
        ("ada", AuditAction.RUN_CREATED, f"run {run.pk} (first)", ""),
        ("ada", AuditAction.SIGN_IN_FAILED, "", "10.1.2.3"),
        ("ada", AuditAction.SIGN_IN, "", "10.1.2.3"),
        ("ada", AuditAction.RUN_ACTION, f"pause: run {run.pk} (first)", "10.1.2.3"),
        ("ada", AuditAction.SIGN_OUT, "", "10.1.2.3"),
    ]
    page = desk.get("/people/audit/?actor=ada&action=run_action").content.decode()
    assert f"acted on a run: pause: run {run.pk} (first)" in page
    assert "changed a role" in desk.get("/people/audit/?actor=adam").content.decode()
    assert "Nothing matches" in desk.get("/people/audit/?actor=%00nobody").content.decode()


def test_the_log_only_grows(user: Any) -> None:
    entry = AuditEntry.objects.create(actor="ada", action=AuditAction.SIGN_IN)
    for change in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(TypeError, match="append-only"):
            change()
    with pytest.raises(TypeError, match="append-only"):
        AuditEntry.objects.update(actor="eve")
    assert AuditEntry.objects.get().actor == "ada"
