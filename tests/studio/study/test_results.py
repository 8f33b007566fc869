"""From rows to the results: what counts, what is left out, what the page and the paragraph say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from studio.accounts.models import Role
from studio.study.amendments import participant_exclude, participant_restore, vote_correct
from studio.study.lifecycle import StudyRefused, StudyState
from studio.study.methods import methods_paragraph
from studio.study.models import Exclusion, Link, Participant, Study, Vote
from studio.study.results import study_results
from studio.study.statistics.figures import Tally
from tests.studio.study.builders import participate, study_with


def paper_study(user: Any) -> Study:
    """30 participants, 17 prompts, 280 votes to 230."""
    study = study_with(user, participants_wanted=30)
    left = 280
    for number in range(30):
        wins = round(left / (30 - number))
        left -= wins
        answers = "0" * wins + "1" * (17 - wins)
        turn = (number * 5) % 17
        participate(study, answers[turn:] + answers[:turn], seconds=3 + number % 3)
    return study


def tally(study: Study) -> Tally:
    return study_results(study).kept.tally


def page(client: Client, study: Study) -> str:
    return client.get(f"/studies/{study.pk}/results/").content.decode()


def test_the_papers_votes_give_the_papers_figures_on_the_page(ada: Client, user: Any) -> None:
    study = paper_study(user)
    results = study_results(study)
    assert results.kept.tally == Tally(280, 230, 0)
    assert results.kept is results.everyone
    text = page(ada, study)
    for figure in ("54.9 %", "50.6–59.2 %", "45.1 %", "40.8–49.4 %", "p = 0.030", str(results.kept.headline)):
        assert figure in text
    assert "Nobody was excluded" in text
    assert str(results.kept.headline) in page(ada, study), "a reload shows other numbers"


def test_attention_checks_count_nowhere_but_in_the_flags(user: Any) -> None:
    study = study_with(user, prompts=6)
    participate(study, "001101", checks="++")
    participate(study, "001101", checks="+x")
    results = study_results(study)
    assert results.kept.tally == Tally(6, 6, 0)
    assert [row.checks for row in results.people] == [(True, True), (True, False)]
    assert [row.flags for row in results.people] == [(), ("failed 1 of 2 attention checks",)]
    assert [(row.answered, row.trials) for row in results.people] == [(6, 6), (6, 6)]


def test_suspicious_patterns_are_flagged_and_still_count(user: Any) -> None:
    study = study_with(user, prompts=8, no_preference=True)
    participate(study, "01010101", sides="01010101")
    participate(study, "10101010", sides="01010101", seconds=0.4)
    participate(study, "--------")
    participate(study, "01010...", sides="01010101")
    flags = [row.flags for row in study_results(study).people]
    assert flags == [
        ("always answered left",),
        ("always answered right", "implausibly fast: median 0.4 s, under 1 s"),
        ("never had a preference",),
        (),
    ]
    assert tally(study).votes == 29


def test_an_exclusion_is_shown_with_both_tallies_and_can_be_lifted(user: Any) -> None:
    study = study_with(user, prompts=4)
    participate(study, "0011")
    odd = participate(study, "1111")
    participant_exclude(odd, user, " answered on a bus ")
    results = study_results(study)
    assert (results.kept.tally, results.everyone.tally) == (Tally(2, 2, 0), Tally(2, 6, 0))
    assert [row.number for row in results.excluded] == [2]
    assert "1 participant was excluded (participant 2: answered on a bus)." in methods_paragraph(results)
    assert "With them, the share was 25.0 %" in methods_paragraph(results)
    with pytest.raises(StudyRefused, match="Participant 2 is excluded already"):
        participant_exclude(odd, user, "again")
    participant_restore(odd, user, "it was a tram")
    assert tally(study) == Tally(2, 6, 0)
    with pytest.raises(StudyRefused, match="Participant 2 is not excluded"):
        participant_restore(odd, user, "again")
    (row,) = Exclusion.objects.all()
    assert (row.reason, row.lifted_by) == ("answered on a bus", user)
    assert [(event.what, event.detail["reason"]) for event in study.events.all()] == [
        ("restored participant 2", "it was a tram"),
        ("excluded participant 2", "answered on a bus"),
    ]


def test_a_correction_counts_and_keeps_what_was_said(user: Any) -> None:
    study = study_with(user, prompts=2)
    somebody = participate(study, "01", sides="00", seconds=2.5)
    vote = Vote.objects.get(trial__participant=somebody, trial__position=0)
    corrected = vote_correct(vote, "right", user, "pressed the wrong key")
    assert tally(study) == Tally(0, 2, 0)
    assert (corrected.replaces, corrected.by, corrected.seconds) == (vote, user, 2.5)
    assert Vote.objects.count() == 3
    again = vote_correct(corrected, "left", user, "no, it was right")
    assert tally(study) == Tally(1, 1, 0)
    with pytest.raises(StudyRefused, match="was corrected meanwhile"):
        vote_correct(vote, "right", user, "late")
    with pytest.raises(StudyRefused, match="“Left” already"):
        vote_correct(again, "left", user, "same")
    with pytest.raises(StudyRefused, match="one of left, right"):
        vote_correct(again, "none", user, "not offered here")
    assert study_results(study).corrections == 2
    assert study.events.first().detail == {  # type: ignore[union-attr]
        "participant": 1, "trial": 1, "before": "right", "after": "left", "reason": "no, it was right",
    }  # fmt: skip


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 1001, "\0"])
def test_amending_needs_a_reason(user: Any, reason: str) -> None:
    study = study_with(user, prompts=2)
    somebody = participate(study, "01")
    vote = Vote.objects.first()
    assert vote
    for amend in (
        lambda: participant_exclude(somebody, user, reason),
        lambda: participant_restore(somebody, user, reason),
        lambda: vote_correct(vote, "right" if vote.side == "left" else "left", user, reason),
    ):
        with pytest.raises(StudyRefused) as refusal:
            amend()
        assert refusal.value.field == "reason"
    assert not study.events.exists()
    assert Vote.objects.count() == 2


def test_a_student_is_told_about_first_wherever_it_stands(user: Any, run: Any) -> None:
    from studio.runs.models import Checkpoint

    study = study_with(user, prompts=2)
    kept = Checkpoint.objects.create(run=run, attempt=1, step=1, path="1.safetensors", size=1, sha256="0" * 64)
    arm = study.arms.get(position=1)
    arm.kind, arm.checkpoint = "checkpoint", kept
    arm.save()
    participate(study, "11")
    results = study_results(study)
    assert (results.arm.label, results.kept.tally) == ("student", Tally(2, 0, 0))


def test_the_notice_about_peeking_stays_until_the_target_is_reached(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=3, participants_wanted=2)
    participate(study, "010")
    participate(study, "01.")
    assert "inflates significance" in page(ada, study)
    participate(study, "110")
    assert "inflates significance" not in page(ada, study)
    assert "interim figures" in methods_paragraph(study_results(study))
    Study.objects.filter(pk=study.pk).update(participants_wanted=9, state=StudyState.CLOSED)
    study.refresh_from_db()
    assert "closed with 2 of 9 intended participants who finished and count" in page(ada, study)
    assert "closed with 2 of 9 intended participants who" in methods_paragraph(study_results(study))
    study.participants_wanted = 2
    study.save()
    assert "inflates significance" not in page(ada, study)
    assert "closed with" not in methods_paragraph(study_results(study))
    participant_exclude(study.participants.get(number=1), user, "asleep")
    assert "closed with 1 of 2 intended" in methods_paragraph(study_results(study))


def test_the_left_is_a_share_of_the_votes_with_a_preference(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=10, no_preference=True)
    for _ in range(10):
        participate(study, "00--------", sides="0" * 10)
    paragraph = methods_paragraph(study_results(study))
    assert "Of 20 votes with a preference, 100.0 % went to the left image (95 % interval 83.9–100.0 %" in paragraph
    text = page(ada, study)
    assert "Left was chosen in 100.0 % of 20 votes with a preference (83.9–100.0 %), p &lt; 0.001" in text
    (row, *_) = study_results(study).people
    assert (row.part.left.percent, row.part.tally.percent) == ("100.0 %", "60.0 %")


def test_without_any_preference_there_is_none_for_a_side(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=2, no_preference=True)
    participate(study, "--")
    assert "Nobody had a preference, so none for a side" in page(ada, study).split('id="methods"')[0]
    assert "Nobody had a preference, so none for a side" in methods_paragraph(study_results(study))


def test_checks_and_corrections_are_told_of_those_who_count(user: Any) -> None:
    study = study_with(user, prompts=3)
    kept, out = participate(study, "010", checks="+", sides="000"), participate(study, "110", checks="xx", sides="000")
    assert "Of 3 attention checks, 1 were answered as expected" in methods_paragraph(study_results(study))
    for person, position, side in ((kept, 0, "right"), (kept, 3, "right"), (out, 0, "left"), (out, 3, "left")):
        vote_correct(Vote.objects.get(trial__participant=person, trial__position=position), side, user, "a slip")
    assert study_results(study).corrections == 2, "two were of attention checks"
    participant_exclude(out, user, "failed the checks")
    results = study_results(study)
    assert results.corrections == 1
    paragraph = methods_paragraph(results)
    assert "Of 1 attention check of those kept, 0 were answered as expected" in paragraph
    assert "Researchers corrected votes 1 time;" in paragraph


def test_who_may_change_the_study_sees_codes_and_links_and_viewers_do_not(
    ada: Client, user: Any, django_user_model: Any
) -> None:
    study = study_with(user, prompts=2)
    participate(study, "01")
    person = participate(study, "01")
    person.link = Link.objects.create(study=study, personal=True, cap=1, used=1, note="Grace <3")
    person.completion_code = "WXYZ-2345"
    person.save()
    viewer = Client()
    viewer.force_login(django_user_model.objects.create_user("vic", role=Role.VIEWER))
    pages = [f"/studies/{study.pk}/results/", f"/studies/{study.pk}/participants/2/"]
    for address in pages:
        text = ada.get(address).content.decode()
        assert "WXYZ-2345" in text
        assert "Grace &lt;3" in text
        text = viewer.get(address).content.decode()
        assert "WXYZ-2345" not in text
        assert "Grace" not in text
    assert "a personal link" in viewer.get(pages[1]).content.decode()
    first = ada.get(f"/studies/{study.pk}/participants/1/").content.decode()
    assert "the open link" in first


def test_the_answers_that_a_correction_offers_are_the_participants(ada: Client, user: Any) -> None:
    for offered, sides in ((False, ["right"]), (True, ["right", "none"])):
        study = study_with(user, prompts=1, no_preference=offered)
        participate(study, "0", sides="0")
        text = ada.get(f"/studies/{study.pk}/participants/1/").content.decode()
        assert re.findall(r'<option value="(\w+)"', text.split('id="side-1"')[1]) == sides


def test_the_methods_have_a_button_that_copies(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=1)
    participate(study, "0")
    assert re.search(r'<copy-text><textarea id="methods".*</textarea><button', page(ada, study), re.DOTALL)


@pytest.mark.parametrize("answers", [["0"], ["01"], ["0", "1"], ["000", "000"], ["---", "---"], ["0..", ".1."]])
def test_few_or_uniform_votes_make_a_page_without_nonsense(ada: Client, user: Any, answers: list[str]) -> None:
    study = study_with(user, prompts=3, no_preference=True)
    for said in answers:
        participate(study, said)
    text = page(ada, study)
    assert "not enough votes" in text
    assert "nan" not in text.lower().split("<main", 1)[1].split("</main>")[0]


def test_before_the_first_vote_the_page_says_so(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=3)
    assert "No votes yet" in page(ada, study)
    participate(study, "...")
    assert "No votes yet" in page(ada, study)
    draft = Study.objects.create(title="Bare", owner=user, consent="I agree.")
    assert "once the study is open" in page(ada, draft)


def test_texts_of_people_are_escaped(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=2, title="<script>alert(1)</script>", labels=("<b>", "&amp"))
    participant_exclude(participate(study, "01"), user, "<img src=x>")
    text = page(ada, study)
    assert "<script>alert" not in text
    assert "<img src=x>" not in text
    assert "&lt;b&gt;" in text


def test_the_owner_excludes_restores_and_corrects_on_the_pages(ada: Client, user: Any) -> None:
    study = study_with(user, prompts=2)
    somebody = participate(study, "01", sides="00")
    base = f"/studies/{study.pk}"
    answer = ada.post(f"{base}/participants/1/exclude/", {"reason": "drunk"}, follow=True)
    assert "Participant 1 is left out of the results." in answer.content.decode()
    assert "Excluded by ada: drunk" in answer.content.decode()
    answer = ada.post(f"{base}/participants/1/restore/", {"reason": "sober", "from": "participant"}, follow=True)
    assert answer.redirect_chain == [(f"{base}/participants/1/", 302)]
    assert "Participant 1 counts again." in answer.content.decode()
    vote = Vote.objects.get(trial__participant=somebody, trial__position=0)
    answer = ada.post(f"{base}/votes/{vote.pk}/correct/", {"side": "right", "reason": "slip"}, follow=True)
    assert "<s>Left</s>" in answer.content.decode()
    answer = ada.post(f"{base}/votes/{vote.pk}/correct/", {"side": "right", "reason": "slip"}, follow=True)
    assert "was corrected meanwhile" in answer.content.decode()
    answer = ada.post(f"{base}/participants/1/exclude/", {"reason": " "}, follow=True)
    assert "Say why" in answer.content.decode()


def test_a_vote_of_another_study_cannot_be_corrected_here(ada: Client, user: Any) -> None:
    mine, other = study_with(user, prompts=1), study_with(user, prompts=1)
    participate(other, "0")
    vote = Vote.objects.get()
    assert ada.post(f"/studies/{mine.pk}/votes/{vote.pk}/correct/", {"side": "right"}).status_code == 404
    assert ada.get(f"/studies/{mine.pk}/participants/1/").status_code == 404
    assert Vote.objects.count() == 1


def test_viewers_see_results_and_no_buttons_and_strangers_nothing(
    client: Client, user: Any, django_user_model: Any
) -> None:
    study = study_with(user, prompts=2)
    participate(study, "01")
    for address in (f"/studies/{study.pk}/results/", f"/studies/{study.pk}/export.csv"):
        assert client.get(address)["Location"].startswith("/sign-in/")
    client.force_login(django_user_model.objects.create_user("vic", role=Role.VIEWER))
    answer = client.get(f"/studies/{study.pk}/results/")
    assert "no-store" in answer["Cache-Control"]
    assert "Exclude" not in answer.content.decode()
    assert "Correct…" not in client.get(f"/studies/{study.pk}/participants/1/").content.decode()


def fill(study: Study, people: int) -> None:
    link = study.links.get()
    start = study.participants.count()
    Participant.objects.bulk_create(
        Participant(study=study, link=link, number=number, digest=str(number))
        for number in range(start + 1, start + people + 1)
    )


def test_results_take_the_same_queries_for_ten_participants_and_for_a_thousand(ada: Client, user: Any) -> None:
    study = study_with(user)
    for number in range(8):
        person = participate(study, "01" * 8 + str(number % 2))
        if number % 2:
            participant_exclude(person, user, "for a test")

    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert ada.get(f"/studies/{study.pk}/results/").status_code == 200
        return len(context)

    queries()  # the session
    fill(study, 2)
    few = queries()
    fill(study, 990)
    assert queries() == few <= 14
    assert "Page 1 of 10" in page(ada, study)
