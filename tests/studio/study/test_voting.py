"""Taking part, through the real pages."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import close_old_connections
from django.test import Client
from django.utils import timezone

from studio.study import voting
from studio.study.lifecycle import StudyState
from studio.study.models import Link, Participant, Study, Trial, Vote
from tests.studio.builders import at_once, not_raised
from tests.studio.study.voters import Voter, address_of, link_of, opened_study


@pytest.fixture(autouse=True)
def nobody_counted_yet() -> None:
    cache.clear()


@pytest.fixture
def study(user: Any) -> Study:
    return opened_study(user, prompts=3, instructions="Look closely.", consent="I take part freely.")


@pytest.fixture
def voter(study: Study) -> Voter:
    return Voter(link_of(study))


def text_of(response: Any) -> str:
    return str(response.content.decode())


def close(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(state=StudyState.CLOSED)


def test_somebody_agrees_answers_every_pair_and_gets_a_code(study: Study, voter: Voter) -> None:
    consent = text_of(voter.open())
    assert study.title not in consent, "it may say what is compared"
    for text in ("Look closely.", "I take part freely.", "3 pairs"):
        assert text in consent
    assert voter.agree().status_code == 303
    for place in (1, 2, 3):
        page = text_of(voter.open())
        assert f"{place} of 3" in page
        assert study.question in page
        assert Trial.objects.get(key=voter.trial).prompt.text in page
        assert voter.answer("right").headers["Location"] == voter.address
    thanks = text_of(voter.open())
    somebody = Participant.objects.get()
    assert somebody.finished_at is not None
    assert re.fullmatch(r"[A-Z2-9]{4}-[A-Z2-9]{4}", somebody.completion_code)
    assert somebody.completion_code in thanks
    votes = list(Vote.objects.order_by("trial__position").values_list("trial__position", "side"))
    assert votes == [(0, "right"), (1, "right"), (2, "right")]


@pytest.mark.parametrize("token", ["%00", "a%00b", "%ED%A0%80", "x" * 44, "a.b", "a%20b"])
def test_what_is_no_link_is_not_found_before_the_database_is_asked(db: None, token: str) -> None:
    assert Client().get(f"/vote/{token}/").status_code == 404


def test_a_browser_without_cookies_is_told_so_even_before_the_guard_against_forgery(study: Study) -> None:
    client = Client(enforce_csrf_checks=True)
    response = client.post(address_of(link_of(study)), {"consent": "yes"})
    assert response.status_code == 403
    assert "keeps no cookies" in text_of(response)
    assert "/runs/" not in text_of(response)
    assert not Participant.objects.exists()


def test_many_who_begin_from_one_address_wait(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "MOST_BEGINNING", 2)
    statuses = []
    for _ in range(3):
        voter = Voter(link_of(study))
        voter.open()
        statuses.append(voter.agree().status_code)
    assert statuses == [303, 303, 429]
    assert Participant.objects.count() == 2


def test_a_browser_that_began_by_another_link_with_the_same_secret_is_refused(study: Study, user: Any) -> None:
    other = opened_study(user, prompts=3)
    first, second = Voter(link_of(study)), Voter(link_of(other))
    first.open()
    first.agree()
    second.open()
    second.client.cookies["participant"] = first.client.cookies["participant"].value
    assert second.agree().status_code == 403
    assert not Participant.objects.filter(study=other).exists()


def test_looking_at_a_link_uses_nothing_up(study: Study) -> None:
    link = Link.objects.create(study=study, personal=True, cap=1)
    for _ in range(3):
        assert Client().get(address_of(link)).status_code == 200
    link.refresh_from_db()
    assert (link.used, Participant.objects.count()) == (0, 0)
    Voter(link).begin()
    link.refresh_from_db()
    assert link.used == 1


def test_a_personal_link_works_once_and_goes_on_working_where_it_began(study: Study) -> None:
    link = Link.objects.create(study=study, personal=True, cap=1)
    mine = Voter(link).begin()
    other = Client().get(address_of(link))
    assert other.status_code == 410
    assert "was used" in text_of(other)
    assert Voter(link).agree().status_code == 410
    assert mine.open().status_code == 200
    assert mine.trial


def test_consent_that_is_sent_twice_is_one_participant(study: Study) -> None:
    link = Link.objects.create(study=study, personal=True, cap=1)
    voter = Voter(link)
    assert [voter.agree().status_code, voter.agree().status_code] == [303, 303]
    study.refresh_from_db()
    assert (study.started, Participant.objects.count()) == (1, 1)


def test_a_closed_tab_goes_on_where_it_was(voter: Voter) -> None:
    voter.begin().answer()
    voter.open()
    again = Voter(link_of(Study.objects.get()), voter.client)
    again.open()
    assert again.trial == voter.trial


def test_the_cookie_goes_to_its_link_alone_and_to_no_script(study: Study, voter: Voter) -> None:
    voter.open()
    cookie = voter.client.cookies[voting.COOKIE]
    assert cookie["path"] == voter.address
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie.value not in str(Participant.objects.values_list("digest", flat=True))


def test_the_first_answer_counts_and_a_second_leads_on(voter: Voter) -> None:
    voter.begin()
    first = voter.trial
    voter.answer("left")
    again = voter.answer("right")
    assert (again.status_code, again.headers["Location"]) == (303, voter.address)
    assert list(Vote.objects.values_list("trial__key", "side")) == [(Trial.objects.get(key=first).key, "left")]


@pytest.mark.parametrize("which", ["later", "somebody else's", "invented", "nonsense"])
def test_only_the_pair_that_is_next_is_answered(study: Study, voter: Voter, which: str) -> None:
    voter.begin()
    mine = Participant.objects.get()
    Voter(link_of(study)).begin()
    key = {
        "later": str(mine.trials.get(position=1).key),
        "somebody else's": str(Participant.objects.get(number=2).trials.get(position=0).key),
        "invented": "0b6b2b5c-9d0e-4c8a-8d5c-3f1a5d2c7e11",
        "nonsense": "../../etc",
    }[which]
    response = voter.answer(trial=key)
    assert response.status_code == (409 if which == "later" else 404)
    assert "Nothing was stored" in text_of(response) or "nothing was stored" in text_of(response)
    assert voter.address in text_of(response)
    assert Vote.objects.count() == 0


@pytest.mark.parametrize(("offered", "side", "stored"), [(False, "none", 0), (True, "none", 1), (True, "both", 0)])
def test_no_preference_is_an_answer_only_where_it_is_offered(user: Any, offered: bool, side: str, stored: int) -> None:
    voter = Voter(link_of(opened_study(user, prompts=2, no_preference=offered))).begin()
    assert ("No preference" in text_of(voter.open())) is offered
    assert voter.answer(side).status_code == (303 if stored else 422)
    assert Vote.objects.count() == stored


def test_a_vote_without_consent_is_refused(study: Study, voter: Voter) -> None:
    Voter(link_of(study)).begin()
    response = voter.answer(trial=str(Trial.objects.first().key))  # type: ignore[union-attr]
    assert response.status_code == 403
    assert Vote.objects.count() == 0


def test_consent_without_a_cookie_is_refused_with_advice(study: Study) -> None:
    response = Client().post(address_of(link_of(study)), {"consent": "yes"})
    assert response.status_code == 403
    assert "cookie" in text_of(response)
    assert Participant.objects.count() == 0


DEAD: dict[str, tuple[dict[str, Any], dict[str, Any], int, str]] = {
    "withdrawn": ({"revoked": True}, {}, 410, "was withdrawn"),
    "expired": ({"expires_at": timezone.now() - timedelta(minutes=1)}, {}, 410, "has expired"),
    "full": ({"cap": 2, "used": 2}, {}, 403, "is full"),
    "closed": ({}, {"state": StudyState.CLOSED}, 403, "is closed"),
    "not open yet": ({}, {"state": StudyState.REVIEW}, 403, "Not open yet"),
}


@pytest.mark.parametrize("why", DEAD)
def test_a_link_that_does_not_work_says_why_and_changes_nothing(study: Study, why: str) -> None:
    fields, state, status, words = DEAD[why]
    voter = Voter(link_of(study))
    voter.open()
    Link.objects.update(**fields)
    Study.objects.filter(pk=study.pk).update(**state)
    for response in (voter.open(), voter.agree()):
        assert response.status_code == status
        assert words in text_of(response)
    assert Participant.objects.count() == 0


def test_an_unknown_link_is_not_found(client: Client, db: None) -> None:
    for response in (client.get("/vote/unknown/"), client.post("/vote/unknown/", {"consent": "yes"})):
        assert response.status_code == 404
        assert "No study here" in text_of(response)


def test_who_began_may_finish_though_the_link_has_ended_but_not_once_the_study_has_closed(
    study: Study, voter: Voter
) -> None:
    voter.begin()
    Link.objects.update(revoked=True, expires_at=timezone.now() - timedelta(minutes=1))
    assert voter.answer().status_code == 303
    voter.open()
    close(study)
    assert voter.answer().status_code == voter.open().status_code == 403
    assert Vote.objects.count() == 1


def test_thanks_stay_when_the_study_has_closed(study: Study, voter: Voter) -> None:
    voter.begin().answer_all()
    close(study)
    assert Participant.objects.get().completion_code in text_of(voter.open())


def test_the_time_of_an_answer_runs_from_the_first_showing(voter: Voter) -> None:
    voter.begin()
    Trial.objects.filter(key=voter.trial).update(shown_at=timezone.now() - timedelta(seconds=30))
    voter.open()  # looking again does not start it anew
    voter.answer()
    assert 30 <= Vote.objects.get().seconds < 40  # type: ignore[operator]


def test_checks_stand_among_the_pairs_and_are_answered_like_them(user: Any) -> None:
    study = opened_study(user, prompts=3, checks=2)
    voter = Voter(link_of(study)).begin()
    assert "1 of 5" in text_of(voter.open())
    voter.answer_all()
    somebody = Participant.objects.get()
    assert somebody.trials.exclude(expected="").count() == 2
    for trial in somebody.trials.exclude(expected="").select_related("left", "right", "prompt"):
        assert trial.left.arm_id == trial.right.arm_id
        own = trial.left if trial.expected == "left" else trial.right
        assert own.prompt_id == trial.prompt_id
    assert Vote.objects.count() == 5


def test_forms_are_guarded_against_other_sites(study: Study) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.get(address_of(link_of(study))).status_code == 200
    assert strict.post(address_of(link_of(study)), {"consent": "yes"}).status_code == 403
    assert Participant.objects.count() == 0


def test_too_many_requests_are_told_to_wait(study: Study, voter: Voter, monkeypatch: pytest.MonkeyPatch) -> None:
    voter.begin()
    monkeypatch.setattr(voting, "MOST_FOR_PARTICIPANT", 4)
    answers = [voter.open() for _ in range(9)]  # the minute may change in between, once
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["Retry-After"] == "60"
    assert Voter(link_of(study)).open().status_code == 200  # others at the same address go on


def test_strangers_are_counted_by_address(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voting, "MOST_FOR_ADDRESS", 3)
    here, there = Client(REMOTE_ADDR="192.0.2.1"), Client(REMOTE_ADDR="192.0.2.2")
    assert 429 in [here.get("/vote/guess/").status_code for _ in range(8)]
    assert there.get("/vote/guess/").status_code == 404


def test_every_answer_is_kept_out_of_caches(study: Study, voter: Voter) -> None:
    consent = voter.open()
    voter.begin()
    pages = (consent, voter.open(), voter.client.get(voter.images[0]), Client().get("/vote/unknown/"))
    assert all(response.headers["Cache-Control"] == "no-store" for response in pages)


def test_the_queries_of_a_pair_do_not_grow_with_the_study(user: Any, django_assert_num_queries: Any) -> None:
    for prompts in (3, 60):
        study = opened_study(user, prompts=prompts)
        voter = Voter(link_of(study)).begin()
        with django_assert_num_queries(3):
            voter.open()


@pytest.mark.django_db(transaction=True)
def test_fifty_participants_at_once_lose_nothing_and_vote_once(user: Any) -> None:
    study = opened_study(user, prompts=5)
    link = link_of(study)

    def take_part() -> None:
        voter = Voter(link).begin()
        first, sides = voter.trial, ["left", "right"]
        while voter.trial:
            for side in sides:  # sent twice
                assert voter.answer(side).status_code == 303
            assert voter.answer("right", trial=first).status_code == 303  # and an old one again
            voter.open()
            close_old_connections()  # as the server does after each request: there are fewer than participants

    not_raised(at_once(*[take_part] * 50))
    study.refresh_from_db()
    link.refresh_from_db()
    assert study.started == link.used == 50
    assert sorted(Participant.objects.values_list("number", flat=True)) == list(range(1, 51))
    assert Participant.objects.exclude(completion_code="").count() == 50
    assert Trial.objects.count() == Vote.objects.count() == 250
    assert set(Vote.objects.values_list("side", flat=True)) == {"left"}  # always the first
    for prompt in study.prompts.all():
        assert prompt.trials.filter(left__arm__position=0).count() == 25


@pytest.mark.django_db(transaction=True)
def test_one_answer_sent_many_times_at_once_is_one_vote(user: Any) -> None:
    study = opened_study(user, prompts=2)
    voter = Voter(link_of(study)).begin()
    secret = voter.client.cookies[voting.COOKIE].value

    def send(side: str) -> int:
        client = Client()
        client.cookies[voting.COOKIE] = secret
        return int(client.post(voter.address, {"trial": voter.trial, "side": side}).status_code)

    sent = [lambda side=side: send(side) for side in ("left", "right") * 8]  # type: ignore[misc]
    assert not_raised(at_once(*sent)) == [303] * 16
    assert Vote.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_personal_link_and_a_cap_hold_when_many_come_at_once(user: Any) -> None:
    study = opened_study(user, prompts=2)
    capped = Link.objects.create(study=study, cap=3)
    statuses = not_raised(at_once(*[lambda: Voter(capped).agree().status_code] * 12))
    assert sorted(statuses) == [303] * 3 + [403] * 9
    capped.refresh_from_db()
    assert capped.used == capped.participants.count() == 3
