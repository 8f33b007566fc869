"""The files of a deployment: they are valid, and they name only what there is. No engine is needed."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from django.core.management import get_commands
from ruamel.yaml import YAML

from studio.common.programs import PROGRAMS
from studio.environment import PROJECT, Environment

COMPOSE = PROJECT / "docker-compose.yml"
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
SERVICES: dict[str, Any] = YAML(typ="safe").load(COMPOSE)["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("sim-studio")}
VARIABLES = {f"SIMSTUDIO_{name.upper()}" for name in Environment.model_fields}


def test_the_compose_file_meets_the_specifications_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_it_has_every_part_of_a_studio() -> None:
    assert set(SERVICES) == {"database", "redis", "migrate", "web", "runs", "runs-cpu", "light", "beat"}
    assert {service["command"][1] for service in OURS.values() if service["command"][0] == "start"} == set(PROGRAMS)


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_ours(name: str) -> None:
    command = OURS[name]["command"]
    assert command[0] in get_commands()
    if command[0] == "start":
        assert command[1] in PROGRAMS


@pytest.mark.parametrize("name", sorted(set(SERVICES) - {"migrate"}))
def test_every_service_that_stays_is_asked_for_its_health(name: str) -> None:
    test = SERVICES[name]["healthcheck"]["test"]
    assert test[0] == "CMD"
    if name in OURS:
        assert test[1:] == ["python", "manage.py", "healthy", OURS[name]["command"][1]]
        assert "healthy" in get_commands()


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_one_that_the_studio_reads(name: str) -> None:
    assert set(OURS[name]["environment"]) - {"FORWARDED_ALLOW_IPS"} <= VARIABLES


# The image sets the first three; a debugging server is not for deployments.
def test_every_setting_reaches_the_containers() -> None:
    given = set(OURS["web"]["environment"])
    assert VARIABLES - given == {f"SIMSTUDIO_{name}" for name in ("DATA", "HOST", "PORT", "DEBUG")}


def test_the_image_sets_only_variables_that_the_studio_reads() -> None:
    assert set(re.findall(r"\bSIMSTUDIO_\w+", DOCKERFILE)) <= VARIABLES


def test_secrets_have_no_default_and_stop_the_start() -> None:
    text = COMPOSE.read_text()
    for name in ("SIMSTUDIO_SECRET_KEY", "POSTGRES_PASSWORD", "SIMSTUDIO_ALLOWED_HOSTS"):
        uses = re.findall(rf"\$\{{{name}([^}}]*)\}}", text)
        assert uses
        assert all(re.fullmatch(r":\?.{10,}", use) for use in uses)


@pytest.mark.parametrize("name", OURS)
def test_all_of_them_share_one_volume(name: str) -> None:
    assert OURS[name]["volumes"] == ["data:/data"]


def test_nothing_of_ours_starts_before_the_database_is_migrated() -> None:
    for name, service in OURS.items():
        conditions = {other: how["condition"] for other, how in service["depends_on"].items()}
        if name == "migrate":
            assert conditions == {"database": "service_healthy"}
        else:
            assert conditions == {"migrate": "service_completed_successfully", "redis": "service_healthy"}


def test_only_the_worker_for_gpus_reserves_them_and_only_one_kind_starts() -> None:
    reserving = [name for name, service in OURS.items() if service.get("deploy")]
    assert reserving == ["runs"]
    assert (SERVICES["runs"]["profiles"], SERVICES["runs-cpu"]["profiles"]) == (["gpu"], ["cpu"])


def test_a_worker_has_longer_to_stop_than_its_trainer() -> None:
    seconds = int(SERVICES["runs"]["stop_grace_period"].removesuffix("s"))
    assert seconds > PROGRAMS["runs"](Environment()).stop_seconds


def test_only_the_web_server_is_published_and_only_to_this_host() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": ["${SIMSTUDIO_PUBLISH:-127.0.0.1:8000}:8000"]}


def test_base_images_are_pinned_and_the_studio_is_not_root() -> None:
    images = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    images += [service["image"] for service in SERVICES.values() if service["image"] not in images]
    for image in images:
        assert re.search(r":\S*\d", image) or image.startswith("sim-studio:")
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.M)[-1] == "studio"
    assert not re.search(r"^(ARG|ENV) \S*(KEY|PASSWORD|TOKEN)", DOCKERFILE, re.M)


def test_everything_that_the_image_copies_is_there_and_is_let_through() -> None:
    let_through = {
        line[1:].rstrip("/") for line in (PROJECT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for line in re.findall(r"^COPY (?!--from)(.+)", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (PROJECT / source).exists()
            assert source.split("/")[0] in let_through
