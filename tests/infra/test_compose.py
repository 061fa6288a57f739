"""docker-compose.yml: what can be checked of it without a Docker engine."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import Settings
from schemas.model_card import all_cards

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
PROFILES = ("gpu", "rehearsal")

each_service = pytest.mark.parametrize("name", SERVICES)
each_profile = pytest.mark.parametrize("profile", PROFILES)


def active(profile: str) -> set[str]:
    return {name for name, service in SERVICES.items() if profile in service.get("profiles", [profile])}


def environment(name: str) -> dict[str, str]:
    return dict(SERVICES[name].get("environment", {}))


def ours() -> list[str]:
    return [name for name, service in SERVICES.items() if "build" in service]


def test_compose_file_fits_the_compose_specification() -> None:
    carrier = importlib.util.find_spec("check_jsonschema")
    if carrier is None or carrier.origin is None:
        pytest.skip("NO COMPOSE SCHEMA HERE: the package check-jsonschema, which carries it, is not installed; the file is not checked against it")
    import jsonschema

    schema = json.loads((Path(carrier.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json").read_text(encoding="utf-8"))
    faults = jsonschema.validators.validator_for(schema)(schema).iter_errors(COMPOSE)

    assert [f"{fault.json_path}: {fault.message}" for fault in faults] == []


def compose_command() -> list[str]:
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    pytest.skip("NO COMPOSE HERE: neither `docker compose` nor docker-compose is installed (`config` needs no engine); the file is not checked by it")


@each_profile
def test_compose_file_is_taken_by_compose_itself(profile: str) -> None:
    command = [*compose_command(), "--profile", profile, "config", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"GRISTMILL_SECRETS": "/run/gristmill"}, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_compose_refuses_to_start_without_a_folder_of_secrets() -> None:
    bare = {name: value for name, value in os.environ.items() if name != "GRISTMILL_SECRETS"}
    done = subprocess.run([*compose_command(), "config", "--quiet"], cwd=ROOT, env=bare, capture_output=True, text=True)

    assert done.returncode != 0
    assert "docs/deployment.md" in done.stderr


@each_service
def test_image_is_pinned_to_one_version(name: str) -> None:
    image = SERVICES[name]["image"]

    assert re.fullmatch(r"[a-z0-9./-]+:[\w.-]*\d[\w.-]*", image)
    assert ("build" in SERVICES[name]) == image.startswith("gristmill")
    assert not image.startswith("gristmill") or image.endswith(f":{VERSION}")


@each_service
def test_service_has_a_health_check_or_ends_by_itself(name: str) -> None:
    service = SERVICES[name]

    if service["healthcheck"].get("disable"):
        assert service["restart"] == "no"
        assert any(conditions(other).get(name) == "service_completed_successfully" for other in SERVICES)
    else:
        assert {"test", "interval", "timeout", "retries", "start_period"} <= set(service["healthcheck"])
        assert service["restart"] == "unless-stopped"


def conditions(name: str) -> dict[str, str]:
    return {other: str(how["condition"]) for other, how in SERVICES[name].get("depends_on", {}).items()}


@each_profile
def test_profile_has_all_that_its_services_wait_for(profile: str) -> None:
    for name in active(profile):
        awaited = conditions(name)
        assert set(awaited) <= active(profile)
        for other, condition in awaited.items():
            ends = bool(SERVICES[other]["healthcheck"].get("disable"))
            assert condition == ("service_completed_successfully" if ends else "service_healthy")


@each_profile
def test_profile_holds_the_whole_topology(profile: str) -> None:
    roles = ("triton", "worker", "prefect-server", "postgres", "dask-scheduler", "dask-worker", "object-storage")

    assert all(any(name.startswith(role) for name in active(profile)) for role in roles)


@each_service
def test_port_is_published_on_loopback_only(name: str) -> None:
    service = SERVICES[name]

    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert ("published" in service.get("networks", [])) == bool(service.get("ports"))


def test_inner_network_has_no_way_out() -> None:
    assert COMPOSE["networks"]["backend"] == {"internal": True}


@each_service
def test_secret_reaches_a_service_as_a_file_only(name: str) -> None:
    granted = SERVICES[name].get("secrets", [])
    telling = {key: value for key, value in environment(name).items() if re.search(r"PASS|SECRET|TOKEN|_KEY", key)}

    assert all(key.endswith("_FILE") for key in telling)
    assert {value.removeprefix("/run/secrets/") for value in telling.values()} <= set(granted)
    assert set(granted) <= set(COMPOSE["secrets"])


def test_compose_file_holds_no_secret() -> None:
    assert not re.search(r"://[^/\s:@]+:[^/\s@]+@", TEXT)
    assert all(secret == {"file": secret["file"]} and secret["file"].startswith("${GRISTMILL_SECRETS:?") for secret in COMPOSE["secrets"].values())


@pytest.mark.parametrize("name", ours())
def test_our_service_runs_locked_down_and_silent(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert environment(name)["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment(name)["DO_NOT_TRACK"] == "1"


@each_service
def test_service_is_bounded(name: str) -> None:
    service = SERVICES[name]

    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"]["max-size"]


@each_service
def test_mount_is_declared_or_there(name: str) -> None:
    for volume in SERVICES[name].get("volumes", []):
        source = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", volume).split(":")[0]
        if source.startswith("./models/"):  # the reader's own
            continue
        assert (ROOT / source).is_file() if source.startswith("./") else source in COMPOSE["volumes"]


def test_triton_services_share_no_gpu() -> None:
    devices = [device for name in ("triton-instruct", "triton-reward") for device in SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]]
    taken = [number for device in devices for number in device["device_ids"]]

    assert len(taken) == len(set(taken)) == 8
    assert all(device["driver"] == "nvidia" and device["capabilities"] == ["gpu"] for device in devices)


@pytest.mark.parametrize("name", ["triton-instruct", "triton-reward"])
def test_triton_runs_as_many_ranks_as_it_has_gpus(name: str) -> None:
    (device,) = SERVICES[name]["deploy"]["resources"]["reservations"]["devices"]

    assert SERVICES[name]["command"][1] == str(len(device["device_ids"]))


def test_worker_is_told_engines_that_are_served() -> None:
    addresses = Settings(engines=environment("worker")["GRISTMILL_ENGINES"], _env_file=None).addresses

    assert set(addresses) <= set(all_cards())
    assert {address.host for replicas in addresses.values() for address in replicas} <= active("gpu")
    assert {address.port for replicas in addresses.values() for address in replicas} == {8001}


def test_rehearsal_worker_shares_the_network_and_the_notes_of_a_triton_that_listens_on_loopback() -> None:
    assert SERVICES["worker-rehearsal"]["network_mode"] == "service:triton-rehearsal"
    assert "engines:/engines:ro" in SERVICES["worker-rehearsal"]["volumes"]
    assert "engines:/engines" in SERVICES["triton-rehearsal"]["volumes"]


@each_service
def test_settings_given_are_settings_that_exist(name: str) -> None:
    import prefect.settings

    own = {f"GRISTMILL_{field.upper()}" for field in Settings.model_fields}
    given = {key.removesuffix("_FILE") for key in environment(name)}

    assert [key for key in given if key.startswith("GRISTMILL_") and key not in own] == []
    assert [key for key in given if key.startswith("PREFECT_") and not hasattr(prefect.settings, key)] == []
