"""A preference study from its making to its publication, in real browsers on a real studio."""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import sign_in
from tests.proof.participants import check_looks, turned_away, vote_by_keyboard, vote_by_touch, vote_without_scripts
from tests.stack import Stack, wait_for

PROMPTS = 17
SHORT = {"iterations": 3, "batch_size": 8, "evaluation.samples": 100, "evaluation.final_samples": 100}
SIDES = ("left", "right", "none")
TEACHER = "Digits, 8×8, 18 steps"
STUDENT = "test, step 3"
ANSWERS = [random.Random(number).choices(SIDES, (4, 4, 1), k=PROMPTS) for number in (1, 2, 3)]


@pytest.mark.timeout(600)
def test_a_study_from_the_first_click_to_the_table(page: Page, browser: Browser, studio: Stack, tmp_path: Path) -> None:
    run = studio.launch(SHORT)
    sign_in(page)
    make(page)
    wait_for(lambda: studio.job(run)["state"] == "succeeded", 90, "there is a student")
    choose_arms_and_prompts(page, run)
    draw(page, "Draw the images")
    review(page, studio)
    page.get_by_role("button", name="Open the study").click()
    expect(page.get_by_text("The study is open.")).to_be_visible()
    address = share(page)

    vote_by_touch(browser, address, ANSWERS[0])
    vote_by_keyboard(browser, address, ANSWERS[1], closing_at=8)
    vote_without_scripts(browser, address, ANSWERS[2])

    page.get_by_role("link", name="Results", exact=True).click()
    rows = export(page)
    assert len(rows) == 3 * PROMPTS
    shown = {arm: chosen for arm, (chosen, _) in tally(page).items()}
    assert shown == choices(studio), "every vote counts for what was clicked"
    assert shown == Counter(row["chosen_arm"] or "No preference" for row in rows), "the file says the same"
    chosen = Counter((row["prompt"], row["chosen_arm"]) for row in rows)
    assert by_prompt(page) == [
        [chosen[str(number), arm] for arm in (STUDENT, TEACHER, "")] for number in range(1, PROMPTS + 1)
    ]
    half = shown["No preference"] / 2
    assert tally(page)[STUDENT][1] == f"{100 * (shown[STUDENT] + half) / len(rows):.1f} %"
    amend(page)
    end(page)
    turned_away(browser, address)


def make(page: Page) -> None:
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/studies/")
    check_looks(page, 390, 1440)
    page.get_by_role("link", name=re.compile("New study|Make the first study")).click()
    check_looks(page, 390, 1440)
    page.get_by_label("Title").fill("18 steps against 1")
    page.get_by_label("“No preference”").check()
    page.get_by_role("button", name="Make the study").click()
    expect(page.get_by_role("heading", name="18 steps against 1")).to_be_visible()
    expect(page.get_by_role("button", name="Draw the images")).to_be_disabled()


def choose_arms_and_prompts(page: Page, run: int) -> None:
    tab(page, "Arms")
    arm = page.get_by_role("region", name="Arm A")
    arm.get_by_label("Kind").select_option("teacher")
    expect(arm.get_by_label("Step", exact=True)).to_be_hidden()
    arm.get_by_label("Teacher").select_option(label="Digits, 8×8")
    arm.get_by_role("button", name="Set arm A").click()
    expect(page.get_by_text("Arm A is set.")).to_be_visible()
    arm = page.get_by_role("region", name="Arm B")
    arm.get_by_label("Kind").select_option("checkpoint")
    arm.get_by_label("Run").select_option(value=str(run))
    arm.get_by_role("button", name="Set arm B").click()
    expect(page.get_by_text("Arm B is set.")).to_be_visible()
    check_looks(page, 390, 1440)
    tab(page, "Prompts")
    page.get_by_role("button", name="Draw").click()
    expect(page.get_by_text(f"{PROMPTS} prompts are drawn.")).to_be_visible()
    check_looks(page, 390, 1440)
    tab(page, "Settings")
    check_looks(page, 390, 1440)


def draw(page: Page, button: str) -> None:
    """Until a worker has drawn them and the study waits for its review."""
    tab(page, "Overview")
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("The images are on their way.")).to_be_visible()
    expect(page.get_by_role("button", name="Open the study")).to_be_disabled(timeout=90_000)


def review(page: Page, studio: Stack) -> None:
    """All by keyboard; the last image is rejected, drawn anew, and approved."""
    check_looks(page, 390, 1440)
    tab(page, "Review")
    progress = page.locator("#review-progress")
    for number in range(1, 2 * PROMPTS):
        approve(page, f"{number} of 34 approved")
    page.keyboard.press("r")
    page.keyboard.type("a smudge")
    page.keyboard.press("Enter")
    expect(progress).to_contain_text("33 of 34 approved, 1 rejected")
    expect(page.locator('.review-card[data-review="rejected"]')).to_contain_text("a smudge")
    check_looks(page, 390, 1440)
    draw(page, "Draw rejected images anew")
    ((old, new),) = studio.rows(
        "SELECT a.seed, b.seed FROM study_image a JOIN study_image b ON a.prompt_id = b.prompt_id "
        "AND a.arm_id = b.arm_id AND a.id < b.id WHERE a.superseded AND a.review = 'rejected'"
    )
    assert old != new
    tab(page, "Review")
    expect(progress).to_contain_text("33 of 34 approved")
    approve(page, "34 of 34 approved. The study can open.")
    page.get_by_role("link", name="can open").click()


def approve(page: Page, then: str) -> None:
    """The image at hand once it is there, the first to look at where none is."""
    current = page.locator(".review-card[aria-current]")
    if not current.count():
        page.keyboard.press("ArrowRight")
    expect(current.locator("img")).to_have_js_property("complete", True)
    page.keyboard.press("a")
    expect(page.locator("#review-progress")).to_contain_text(then)


def share(page: Page) -> str:
    """The address of the open link."""
    tab(page, "Results")
    expect(page.get_by_role("heading", name="No votes yet")).to_be_visible()
    check_looks(page, 390, 1440)
    tab(page, "Share")
    page.get_by_role("button", name="Make the open link").click()
    expect(page.get_by_alt_text("QR code of the open link")).to_be_visible()
    address = page.get_by_label("Address of the open link").input_value()
    page.get_by_label("Notes").fill("Ada\nGrace")
    page.get_by_role("button", name="Make personal links").click()
    expect(page.get_by_role("cell", name="Grace")).to_be_visible()
    page.get_by_role("button", name="Copy", exact=True).click()
    copied = page.get_by_role("button", name="Copied")
    expect(page.get_by_role("button", name="Press Ctrl+C").or_(copied)).to_be_visible()
    check_looks(page, 390, 1440)
    page.get_by_role("link", name="Preview as participant").click()
    expect(page.get_by_text("A preview: nothing is stored.")).to_be_visible()
    page.get_by_role("link", name="Back to the study").click()
    return address


def tab(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Study").get_by_role("link", name=name).click()
    expect(page.locator(".tabs [aria-current=page]")).to_have_text(name)
    page.wait_for_load_state()  # from when on it hears keys
    page.wait_for_load_state()  # from when on it hears keys


def choices(studio: Stack) -> Counter[str]:
    """What the clicks of ANSWERS mean: how often each arm was chosen, from who saw what on which side."""
    trials = studio.rows(
        "SELECT p.number, t.position, l.label, r.label FROM study_trial t "
        "JOIN study_participant p ON t.participant_id = p.id JOIN study_image li ON t.left_id = li.id "
        "JOIN study_arm l ON li.arm_id = l.id JOIN study_image ri ON t.right_id = ri.id "
        "JOIN study_arm r ON ri.arm_id = r.id"
    )
    assert len(trials) == 3 * PROMPTS
    meaning = {
        (number, place): {"left": left, "right": right, "none": "No preference"}
        for number, place, left, right in trials
    }
    return Counter(meaning[number, place][ANSWERS[number - 1][place]] for number, place in meaning)


def export(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV", exact=True).click()
    return list(csv.DictReader(Path(waiting.value.path()).read_text().splitlines()))


def tally(page: Page) -> dict[str, tuple[int, str]]:
    """Of each arm: how often it was chosen, and the share."""
    lines = page.get_by_role("region", name="Votes that count").locator("tbody tr").all()
    cells = [[cell.inner_text() for cell in line.locator("th, td").all()] for line in lines]
    return {row[0]: (int(row[1]), row[2]) for row in cells}


def by_prompt(page: Page) -> list[list[int]]:
    """Of each prompt: votes for the student, for the teacher, for neither."""
    lines = page.locator(".by-prompt tbody tr").all()
    return [[int(cell.inner_text()) for cell in line.locator("td.num").all()[2:5]] for line in lines]


def amend(page: Page) -> None:
    """Leave somebody out, and correct a vote; both say why."""
    page.get_by_label("Exclude participant 3", exact=True).click()
    check_looks(page, 390, 1440)
    page.get_by_label("Why").and_(page.locator(":visible")).fill("did not look")
    page.get_by_role("button", name="Exclude participant 3").click()
    expect(page.get_by_text("Votes that count: 34 by 2 participants")).to_be_visible()
    expect(page.get_by_text("With the excluded: 51 by 3 participants")).to_be_visible()
    expect(page.get_by_role("textbox", name="Methods, to copy")).to_have_value(
        re.compile("participant 3: did not look")
    )
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the methods").click()
    expect(page.get_by_role("button", name="Copy the methods")).to_have_text("Copied")
    assert "participant 3: did not look" in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("link", name="2", exact=True).click()
    page.get_by_label("Correct the vote of trial 1", exact=True).click()
    check_looks(page, 390, 1440)
    page.get_by_label("Why").and_(page.locator(":visible")).fill("a slip")
    page.get_by_role("button", name="Correct trial 1").click()
    expect(page.get_by_text("by ada: a slip")).to_be_visible()


def end(page: Page) -> None:
    """Closed; the audit trail says what happened."""
    page.get_by_role("link", name="18 steps against 1").click()
    tab(page, "Overview")
    page.get_by_role("button", name="Close the study").click()
    expect(page.get_by_text("The study is closed.")).to_be_visible()
    tab(page, "Audit trail")
    check_looks(page, 390, 1440)
    page.get_by_role("navigation").get_by_role("link", name="Studies").first.click()
    expect(page.get_by_role("row").filter(has_text="18 steps against 1")).to_contain_text("3 of 30")
    check_looks(page, 390, 1440)
