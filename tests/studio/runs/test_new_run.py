from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, Literal

import pytest
from django.test import Client
from pydantic import create_model
from pydantic.fields import FieldInfo

from simcore.config import RunSpec, Spec, setting
from simcore.presets import PRESETS, find_preset
from studio.jobs.lifecycle import JobState
from studio.jobs.models import Job
from studio.jobs.services import job_end
from studio.runs.estimate import duration
from studio.runs.fields import all_leaves, show, value_at
from studio.runs.forms import NewRunForm
from studio.runs.models import Run
from tests.studio.builders import claim, metrics, record, started, token_of

PRESET = find_preset("digits-demo")
VALUES = {leaf.path: show(value_at(PRESET.spec.model_dump(), leaf.path)) for leaf in all_leaves()}


@pytest.fixture
def ada(client: Client, user: Any, teacher: Any, redis_server: None) -> Client:
    client.force_login(user)
    return client


def post(client: Client, **changes: str) -> Any:
    """Launch the preset with some values changed; double underscores stand for dots."""
    data = VALUES | {"name": "", "preset": PRESET.name}
    return client.post("/runs/new/", data | {path.replace("__", "."): value for path, value in changes.items()})


class Fields(HTMLParser):
    """The inputs, selects and element texts of a page, by name and id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.inputs: dict[str, dict[str, str]] = {}
        self.texts: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("input", "select") and "name" in given:
            self.inputs[given["name"]] = given
        if tag not in ("input", "meta", "link", "br"):
            self._open.append(given.get("id", ""))

    def handle_endtag(self, tag: str) -> None:
        if self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for name in filter(None, self._open):
            self.texts[name] = self.texts.get(name, "") + data


def leaves_of(model: type[Spec], prefix: str = "") -> dict[str, FieldInfo]:
    """Every scalar setting of a model, counted without the code under test."""
    found = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Spec):
            found |= leaves_of(inner, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = field
    return found


LEAVES = leaves_of(RunSpec)


def test_the_form_has_every_setting_once(ada: Client) -> None:
    assert sorted(leaf.path for leaf in all_leaves()) == sorted(LEAVES)
    inputs = Fields(ada.get("/runs/new/").content.decode()).inputs
    assert set(LEAVES) <= set(inputs)
    assert {"name", "preset", "csrfmiddlewaretoken"} <= set(inputs)


@pytest.mark.parametrize("path", sorted(set(LEAVES) - {"teacher"}))
def test_every_field_shows_its_help_and_its_bounds(ada: Client, path: str) -> None:
    field, page = LEAVES[path], Fields(ada.get("/runs/new/").content.decode())
    shown = page.inputs[path]
    assert field.description
    assert field.description in page.texts[f"id_{path}_helptext"]
    assert f"id_{path}_helptext" in shown["aria-describedby"]
    for constraint in field.metadata:
        for kind, attribute in (("ge", "min"), ("gt", "min"), ("le", "max"), ("lt", "max")):
            if (bound := getattr(constraint, kind, None)) is not None and "type" in shown and shown["type"] == "number":
                assert float(shown[attribute]) == float(bound)


@pytest.fixture
def widened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """RunSpec with more settings, as a later version might have."""

    def build(**more: Any) -> None:
        monkeypatch.setattr(NewRunForm, "kind", create_model("RunSpec", __base__=RunSpec, **more))

    return build


def test_a_setting_added_to_the_model_appears_by_itself(ada: Client, widened: Any) -> None:
    widened(
        patience=(int, setting(7, ge=1, le=9, help="How long to wait.", unit="years", label="Patience")),
        mood=(Literal["glad", "sad"], setting("sad", help="How it feels.", label="Mood")),
        loud=(bool, setting(False, help="Whether it shouts.", label="Loud")),
        quiet=(bool, setting(True, help="Whether it whispers.", label="Quiet")),
    )
    page = ada.get("/runs/new/").content.decode()
    found = Fields(page)
    patience = found.inputs["patience"]
    assert (patience["type"], patience["min"], patience["max"]) == ("number", "1", "9")
    assert "How long to wait." in found.texts["id_patience_helptext"]
    assert "How it feels." in found.texts["id_mood_helptext"]
    assert "glad" in found.texts["id_mood"]
    assert "years" in page
    assert "Patience" in page


def test_a_switch_shows_its_default_and_opens_its_group_only_when_it_differs(teacher: Any, widened: Any) -> None:
    class Voice(Spec):
        loud: bool = setting(False, help="Whether it shouts.")
        clear: bool = setting(True, help="Whether it is understood.")

    widened(voice=(Voice, setting(Voice(), help="How it speaks.", label="Voice")))
    spec = NewRunForm.kind(**PRESET.spec.model_dump())
    preset = type(PRESET)(name=PRESET.name, title="", description="", spec=spec)
    form = NewRunForm(preset=preset)
    assert "checked" not in str(form["voice.loud"])
    assert "checked" in str(form["voice.clear"])
    assert not next(group for group in form.groups if group.name == "voice").open
    sent = VALUES | {"name": "", "preset": PRESET.name}
    same = NewRunForm(sent | {"voice.clear": "on"}, preset=preset)
    assert not next(group for group in same.groups if group.name == "voice").open
    changed = NewRunForm(sent | {"voice.clear": "on", "voice.loud": "on"}, preset=preset)
    assert next(group for group in changed.groups if group.name == "voice").open


def test_the_preset_launches_as_it_stands(ada: Client, user: Any) -> None:
    response = post(ada)
    run = Run.objects.get()
    assert (response.status_code, response["Location"]) == (302, f"/runs/{run.pk}/")
    assert (run.name, run.preset, run.job.owner, run.job.state) == (
        f"digits-demo {run.pk}",
        "digits-demo",
        user,
        "queued",
    )
    assert run.job.total_steps == 2_500
    stored, asked = RunSpec.model_validate(run.job.spec), PRESET.spec
    assert stored.objective.pseudo_huber_c == pytest.approx(0.00054 * 8)  # resolved when the run was made: √(8·8·1) = 8
    assert stored.threads is not None
    assert stored.device in ("cpu", "cuda")
    assert stored.student_optimizer == asked.student_optimizer
    assert stored.schedule == asked.schedule


def test_what_was_changed_is_what_runs(ada: Client) -> None:
    post(ada, name="mine", iterations="20", student_optimizer__learning_rate="2e-5", objective__pseudo_huber_c="0.25")
    run = Run.objects.get()
    assert run.name == "mine"
    assert run.job.total_steps == run.job.spec["iterations"] == 20
    assert run.job.spec["student_optimizer"]["learning_rate"] == 2e-5
    assert run.job.spec["objective"]["pseudo_huber_c"] == 0.25


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("iterations", "0", "greater than or equal to 1"),
        ("iterations", "many", "Enter a whole number"),
        ("iterations", "1.5", "Enter a whole number"),
        ("iterations", "", "required"),
        ("batch_size", "-4", "greater than or equal to 1"),
        ("seed", str(2**70), "less than or equal to"),
        ("threads", "0", "greater than or equal to 1"),
        ("device", "tpu", "not one of the available choices"),
        ("student_optimizer.learning_rate", "0", "greater than 0"),
        ("student_optimizer.learning_rate", "nan", "Enter a number"),
        ("student_optimizer.learning_rate", "inf", "Enter a number"),
        ("student_optimizer.beta1", "1", "less than 1"),
        ("objective.pseudo_huber_c", "-1", "greater than 0"),
        ("objective.time.law", "cosine", "not one of the available choices"),
        ("evaluation.samples", "10", "greater than or equal to 100"),
        ("schedule.samples_every", "0", "greater than or equal to 1"),
        ("name", "x" * 201, "at most 200 characters"),
        ("name", "a\x00b", "Null characters are not allowed"),
    ],
)
def test_a_wrong_value_is_named_beside_its_field_and_nothing_is_made(
    ada: Client, path: str, value: str, message: str
) -> None:
    response = post(ada, **{path: value})
    assert response.status_code == 422
    page = Fields(response.content.decode())
    assert message in page.texts[f"id_{path}_error"]
    assert page.inputs[path]["aria-invalid"] == "true"
    assert f'href="#id_{path}"' in response.content.decode()
    assert not Run.objects.exists()
    assert not Job.objects.exists()


def test_an_unknown_teacher_is_named_beside_the_teachers(ada: Client) -> None:
    response = post(ada, teacher="bundled:unicorn")
    assert response.status_code == 422
    teachers = response.content.decode().split("<legend>Teacher</legend>")[1].split("</fieldset>")[0]
    assert "bundled:unicorn is not one of the available choices" in teachers
    assert not Run.objects.exists()


def test_all_wrong_values_are_named_at_once_and_what_was_typed_stays(ada: Client) -> None:
    response = post(ada, iterations="0", batch_size="x", name="kept")
    page = Fields(response.content.decode())
    assert {"id_iterations_error", "id_batch_size_error"} <= set(page.texts)
    assert (page.inputs["batch_size"]["value"], page.inputs["name"]["value"]) == ("x", "kept")


def test_a_disk_that_fills_up_after_the_form_was_checked_is_named_in_it(ada: Client, monkeypatch: Any) -> None:
    free = iter([10**15])  # at the check; nothing at the launch
    monkeypatch.setattr("studio.runs.prepare.free_bytes", lambda: next(free, 0))
    response = post(ada, name="kept")
    assert response.status_code == 422
    page = Fields(response.content.decode())
    assert "the disk has room for" in page.texts["id_schedule.keep_last_error"]
    assert page.inputs["name"]["value"] == "kept"
    assert not Run.objects.exists()


def opened(page: str) -> list[str]:
    return [
        " ".join(re.sub("<[^>]*>", " ", text).split())
        for text in re.findall(r"<details[^>]* open>\s*<summary>(.*?)<", page)
    ]


def test_groups_stay_folded_until_something_in_them_differs(ada: Client) -> None:
    assert opened(ada.get("/runs/new/").content.decode()) == []
    page = post(ada, iterations="0", ema__half_life_kimg="250").content.decode()
    assert opened(page) == ["Moving average (EMA)"]


def test_a_group_with_an_error_is_open(ada: Client) -> None:
    assert opened(post(ada, evaluation__samples="10").content.decode()) == ["Evaluation"]


def test_an_unknown_preset_is_not_found(ada: Client) -> None:
    assert ada.get("/runs/new/", {"preset": "no-such"}).status_code == 404
    assert post(ada, preset="no-such").status_code == 404
    assert not Run.objects.exists()


def test_launching_needs_a_token_against_forgery(ada: Client, user: Any) -> None:
    careful = Client(enforce_csrf_checks=True)
    careful.force_login(user)
    assert post(careful).status_code == 403
    assert not Run.objects.exists()


def test_the_estimate_knows_memory_and_disk_before_any_run(ada: Client) -> None:
    data = VALUES | {"name": "", "preset": PRESET.name}
    page = ada.post("/runs/estimate/", data).content.decode()
    assert "<html" not in page
    assert "7.4\xa0MB" in page  # ten copies of 193,000 parameters of four bytes
    assert "5 checkpoints at most" in page  # the last three, the best, and one more until another goes
    assert "its speed is unknown" in page


def test_the_estimate_counts_what_is_wrong(ada: Client) -> None:
    data = VALUES | {"name": "", "preset": PRESET.name, "iterations": "0", "batch_size": "x"}
    response = ada.post("/runs/estimate/", data)
    assert response.status_code == 200
    assert "2 settings to correct" in response.content.decode()


def test_the_estimate_learns_the_speed_from_the_last_finished_run(ada: Client) -> None:
    post(ada)
    job = claim()
    record(job, started(), *(metrics(step, seconds_per_iteration=0.2) for step in range(1, 11)))
    job_end(job.pk, token_of(job), JobState.SUCCEEDED)
    data = VALUES | {"name": "", "preset": PRESET.name, "batch_size": "128"}
    # 2,500 iterations of twice the batch: 2 · 0.2 s · 2,500 = 1,000 s
    assert "about 17 min of training" in ada.post("/runs/estimate/", data).content.decode()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (240, "4 min"), (11_520, "3 h 12 min"), (90_000, "25 h 0 min")]
)
def test_durations_are_said_in_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_every_preset_fits_its_form(ada: Client) -> None:
    for preset in PRESETS.values():
        assert ada.get("/runs/new/", {"preset": preset.name}).status_code == 200


def test_a_preset_whose_teacher_is_missing_says_so_and_is_launched_with_another_or_not_at_all(ada: Client) -> None:
    missing = next(preset for preset in PRESETS.values() if preset.name == "cifar10-uncond")
    page = ada.get("/runs/new/", {"preset": missing.name}).content.decode()
    assert f"{missing.spec.teacher}, is not in the catalogue" in page
    assert 'type="radio" name="teacher" value="bundled:digits" checked' not in page
    assert "Choose a teacher to see an estimate." in page
    values = {leaf.path: show(value_at(missing.spec.model_dump(), leaf.path)) for leaf in all_leaves()}
    sent = {path: value for path, value in values.items() if path != "teacher"} | {"name": "", "preset": missing.name}
    refused = ada.post("/runs/new/", sent)
    assert refused.status_code == 422
    assert "Teacher</a>: This field is required." in refused.content.decode()
    assert not Run.objects.exists()
    assert ada.post("/runs/new/", sent | {"teacher": "bundled:digits"}).status_code == 302


def test_another_preset_comes_with_its_own_teacher_unless_one_was_chosen(ada: Client) -> None:
    assert '?preset=cifar10-cond&amp;teacher="' in ada.get("/runs/new/").content.decode()
    chosen = ada.get("/runs/new/", {"preset": "cifar10-uncond", "teacher": "bundled:digits"}).content.decode()
    assert "?preset=cifar10-cond&amp;teacher=bundled%3Adigits" in chosen
    assert "is not in the catalogue" not in chosen


def test_times_that_do_not_fit_the_teacher_are_named_beside_their_field(ada: Client) -> None:
    law = "discrete_uniform"
    response = post(ada, objective__time__law=law, denoiser__time__law=law)
    assert response.status_code == 422
    message = Fields(response.content.decode()).texts["id_objective.time.law_error"]
    assert "has continuous noise levels" in message
    assert not Run.objects.exists()


def test_a_combination_that_cannot_be_is_named(ada: Client) -> None:
    page = post(ada, performance__accumulation="7").content.decode()
    assert "devices × accumulation = 7 has to divide the batch size" in page
    assert not Run.objects.exists()
