"""infra/containers/: the Dockerfile read, and its scripts run. No image can be built here."""

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ROOT / "infra" / "containers"
DOCKERFILE = re.sub(r"\\\n\s*", "", (CONTAINERS / "Dockerfile").read_text(encoding="utf-8")).splitlines()
IGNORED = (CONTAINERS / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


def instructions(name: str) -> list[str]:
    return [line.removeprefix(f"{name} ") for line in DOCKERFILE if line.startswith(f"{name} ")]


def copied() -> list[str]:
    """Sources that COPY takes from the checkout, and not from another stage."""
    plain = [shlex.split(line) for line in instructions("COPY") if not line.startswith("--from")]
    return [source for words in plain for source in words[:-1] if not source.startswith("--")]


def test_every_copied_source_is_there_and_reaches_the_builder() -> None:
    kept = {line.removeprefix("!") for line in IGNORED if line.startswith("!")}

    assert len(copied()) >= 9
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    assert [source for source in copied() if not any(source == one or source.startswith(f"{one}/") for one in kept)] == []
    assert IGNORED[next(i for i, line in enumerate(IGNORED) if line == "*")] == "*"


def test_all_packages_are_copied() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert set(packages) <= set(copied())


def test_base_images_are_pinned_or_stages_of_this_file() -> None:
    stages = [line.split(" AS ") for line in instructions("FROM")]
    names = {stage for _, stage in stages}
    outside = [image for image, _ in stages if image not in names]

    assert outside == ["python:3.11.14-slim-bookworm"]
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} <= names


def test_installs_are_checked_by_hash_and_from_the_locks() -> None:
    installs = [line for line in instructions("RUN") if "pip install" in line]

    assert any("PIP_REQUIRE_HASHES=1" in line for line in instructions("ENV"))
    assert len(installs) == 2
    assert all("--requirement /tmp/requirements.lock" in line for line in installs)
    assert {"requirements.lock", "infra/triton/requirements.lock"} <= set(copied())


def test_tools_of_development_are_taken_out_again() -> None:
    development = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["dev"]
    (removal,) = [line for line in instructions("RUN") if "pip uninstall" in line]

    assert set(removal.split("--yes ")[1].split()) == {re.split(r"[^\w-]", requirement)[0] for requirement in development}


def test_image_runs_as_nobody_in_particular_with_telemetry_off() -> None:
    environment = " ".join(instructions("ENV"))

    assert instructions("USER") == ["gristmill"]
    assert any("--uid 10001" in line for line in instructions("RUN"))
    assert "PREFECT_SERVER_ANALYTICS_ENABLED=false" in environment
    assert "DO_NOT_TRACK=1" in environment


@pytest.mark.parametrize("script", ["entrypoint.sh", "gristmill", "postgres/databases.sh"])
def test_script_can_be_executed(script: str) -> None:
    assert os.access(CONTAINERS / script, os.X_OK)


def enter(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run([str(CONTAINERS / "entrypoint.sh"), *command], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("secret", ["plain", 'it\'s "odd" $HOME `x` \\ %s', " blanks around "])
def test_entrypoint_hands_a_secret_on_as_it_is(tmp_path: Path, secret: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n", encoding="utf-8")
    done = enter("sh", "-c", 'printf %s "$PGPASSWORD"; test -z "${PGPASSWORD_FILE:-}"', PGPASSWORD_FILE=str(file))

    assert (done.returncode, done.stdout) == (0, secret)


def test_entrypoint_takes_a_secret_without_a_line_end(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("bare", encoding="utf-8")

    assert enter("printenv", "AWS_SECRET_ACCESS_KEY", AWS_SECRET_ACCESS_KEY_FILE=str(file)).stdout == "bare\n"


@pytest.mark.parametrize("content", [None, ""], ids=["missing", "empty"])
def test_entrypoint_stops_at_a_secret_that_is_not_there(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    done = enter("echo", "started", GRISTMILL_API_KEY_FILE=str(file))

    assert done.returncode == 78
    assert str(file) in done.stderr
    assert "started" not in done.stdout


def test_entrypoint_reads_every_secret_that_compose_names() -> None:
    read = (CONTAINERS / "entrypoint.sh").read_text(encoding="utf-8")
    named = {key for service in SERVICES.values() for key in service.get("environment", {}) if key.endswith("_FILE") and "build" in service}

    assert named
    assert all(key.removesuffix("_FILE") in read for key in named)
