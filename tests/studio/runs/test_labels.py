from __future__ import annotations

import csv
import io
import struct
from typing import Any

import pytest
from django.test import Client

from studio.jobs.lifecycle import JobState
from studio.runs.models import Run
from tests.studio.builders import bring_to, claim, evaluation, log, metrics, record, started


def label(client: Client, run: Run, **fields: str) -> Any:
    return client.post(f"/runs/{run.pk}/labels/", {"name": "first", "tags": "", "notes": "", **fields}, follow=True)


def tags(run: Run) -> list[str]:
    return [tag.name for tag in run.tags.all()]


def test_name_tags_and_notes_are_kept_and_found(ada: Client, run: Run) -> None:
    label(ada, run, name="  renamed ", tags="baseline, low  lr ,baseline,", notes="see p. 4")
    run.refresh_from_db()
    assert (run.name, tags(run), run.notes) == ("renamed", ["baseline", "low lr"], "see p. 4")
    for query in ({"q": "see p"}, {"q": "low lr"}, {"tag": "baseline"}):
        assert f'id="run-{run.pk}"' in ada.get("/runs/", query).content.decode()
    assert f'id="run-{run.pk}"' not in ada.get("/runs/", {"tag": "other"}).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", " ", "1 to 200 characters"),
        ("name", "x" * 201, "1 to 200 characters"),
        ("tags", "x" * 41, "at most 40 characters"),
        ("tags", ",".join(map(str, range(13))), "at most 12 tags"),
        ("notes", "x" * 10_001, "at most 10,000 characters"),
    ],
)
def test_what_is_too_long_is_refused_and_nothing_changes(
    ada: Client, run: Run, field: str, value: str, said: str
) -> None:
    assert said in label(ada, run, **{field: value}).content.decode()
    run.refresh_from_db()
    assert (run.name, tags(run), run.notes) == ("first", [], "")


def test_an_archived_run_leaves_the_list_and_comes_back(ada: Client, run: Run) -> None:
    row = f'id="run-{run.pk}"'
    refused = ada.post(f"/runs/{run.pk}/archive/", follow=True).content.decode()
    assert "first is queued: only runs that have ended or are paused" in refused
    bring_to(run, JobState.SUCCEEDED)
    ada.post(f"/runs/{run.pk}/archive/")
    assert row not in ada.get("/runs/").content.decode()
    assert row in ada.get("/runs/", {"archived": "only"}).content.decode()
    assert row in ada.get("/runs/", {"archived": "all"}).content.decode()
    ada.post(f"/runs/{run.pk}/archive/", {"archived": "false"})
    assert row in ada.get("/runs/").content.decode()


@pytest.mark.parametrize("action", ["labels", "archive"])
def test_only_the_owner_and_administrators_change_a_run(client: Client, run: Run, action: str) -> None:
    from studio.accounts.models import Role, User

    bring_to(run, JobState.SUCCEEDED)
    client.force_login(User.objects.create_user("bob", role=Role.RESEARCHER))
    assert client.post(f"/runs/{run.pk}/{action}/", {"name": "mine"}).status_code == 403
    assert "Change name, tags, notes" not in client.get(f"/runs/{run.pk}/").content.decode()
    client.force_login(User.objects.create_user("eve", role=Role.ADMINISTRATOR))
    assert client.post(f"/runs/{run.pk}/{action}/", {"name": "theirs"}).status_code == 302


def test_a_clone_starts_with_the_runs_settings_and_says_from_where(ada: Client, user: Any, run: Run) -> None:
    run.job.spec["batch_size"] = 32
    run.job.spec.pop("dropout")  # as in a run of an earlier version
    run.job.save()
    page = ada.get("/runs/new/", {"clone": run.pk}).content.decode()
    assert 'value="first copy"' in page
    assert f'name="clone" value="{run.pk}"' in page
    assert 'name="batch_size" value="32"' in page
    assert 'data-preset-value="32"' in page, "changes are marked against the run, not the preset"
    assert ada.get("/runs/new/", {"clone": 4711}).status_code == 404
    assert ada.get("/runs/new/", {"clone": "x"}).status_code == 404


def test_the_queue_limit_is_said_and_nothing_is_queued(ada: Client, run: Run, settings: Any) -> None:
    settings.QUEUED_LIMIT = 1
    page = ada.get("/runs/new/").content.decode()
    import re

    fields = dict(re.findall(r'<input type="(?:number|text|hidden)" name="([\w.]+)" value="([^"]*)"', page))
    from simcore.presets import find_preset
    from studio.runs.fields import all_leaves, show, value_at

    spec = find_preset("digits-demo").spec.model_dump()
    fields |= {leaf.path: show(value_at(spec, leaf.path)) for leaf in all_leaves() if leaf.type is not bool}
    response = ada.post("/runs/new/", {**fields, "preset": "digits-demo"})
    assert response.status_code == 422
    assert "would exceed the limit of 1" in response.content.decode()
    assert Run.objects.count() == 1


# ---- what is taken away


def train(run: Run) -> None:
    job = claim()
    record(job, started(), *(metrics(step, student_loss=step / 3) for step in range(1, 51)), evaluation(50))


def body(response: Any) -> bytes:
    return b"".join(response)


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous")
def test_the_csv_holds_every_point_as_it_was_measured(ada: Client, run: Run) -> None:
    train(run)
    response = ada.get(f"/runs/{run.pk}/metrics.csv")
    assert response["Content-Disposition"] == f'attachment; filename="run-{run.pk}-metrics.csv"'
    rows = list(csv.DictReader(io.StringIO(body(response).decode())))
    assert len(rows) == 51
    assert rows[0] == {"step": "50", "series": "frechet", "value": "3.0", "attempt": "1"}
    assert [float(row["value"]) for row in rows[1:]] == [step / 3 for step in range(1, 51)]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume asynchronous")
def test_the_event_file_is_tensorboards(ada: Client, run: Run) -> None:
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    train(run)
    data = body(ada.get(f"/runs/{run.pk}/metrics.tfevents"))
    events = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked_crc32c(data[:8])
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked_crc32c(data[12 : 12 + length])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    assert events[0].file_version == "brain.Event:2"
    points = [(e.step, v.tag, v.simple_value) for e in events[1:] for v in e.summary.value]
    assert len(points) == 51
    assert (50, "frechet", 3.0) in points
    assert points[1] == (1, "student_loss", pytest.approx(1 / 3))


def test_the_log_is_searched_whole_with_the_lines_around_a_hit(ada: Client, run: Run) -> None:
    job = claim()
    record(job, started(), *(log(f"line {number}") for number in range(300)), log("<b>Needle</b> here"))
    record(job, *(log(f"after {number}") for number in range(3)))
    page = ada.get(f"/runs/{run.pk}/log/search/", {"q": "needle"}).content.decode()
    assert "1 line with" in page
    assert "&lt;b&gt;Needle&lt;/b&gt; here</mark>" in page
    for near in ("line 298", "line 299", "after 0", "after 1"):
        assert near in page
    assert "line 297" not in page
    many = ada.get(f"/runs/{run.pk}/log/search/", {"q": "LINE"}, headers={"HX-Request": "true"}).content.decode()
    assert "300 lines with" in many
    assert "the first 100 are shown" in many
    assert "<html" not in many
    for nothing in ("", "\0", "no such words"):
        assert "<mark>" not in ada.get(f"/runs/{run.pk}/log/search/", {"q": nothing}).content.decode()
