"""prefect.yaml: read as Prefect reads it, and tried whole against a real server and a real worker."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from tasks.catalogue import load_recipe
from tests.flows.prefect_site import PATIENCE_S, ROOT, Site, finished, serve_site, wait_until

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def name_of(deployment: dict[str, Any]) -> str:
    return str(deployment["name"])


each_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)


def test_prefect_yaml_is_a_project_file_to_prefect() -> None:
    from prefect.cli.deploy._models import PrefectYamlModel

    project = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8")))

    assert [deployment.name for deployment in project.deployments] == ["rehearsal", "nemotron4-340b", "llama31-nemotron-70b", "regrade", "appraise", "iterate"]
    assert project.pull == [{"prefect.deployments.steps.set_working_directory": {"directory": "."}}]


@each_deployment
def test_deployment_has_no_key_that_prefect_would_ignore(deployment: dict[str, Any]) -> None:
    from prefect.cli.deploy._models import ConcurrencyLimitSpec, DeploymentConfig, RawScheduleConfig, WorkPoolConfig

    assert set(deployment) <= set(DeploymentConfig.model_fields)
    assert set(deployment["concurrency_limit"]) <= set(ConcurrencyLimitSpec.model_fields)
    assert set(deployment["work_pool"]) <= set(WorkPoolConfig.model_fields)
    for schedule in deployment["schedules"]:
        RawScheduleConfig.model_validate(schedule)
        ZoneInfo(schedule["timezone"])


@each_deployment
def test_deployment_calls_the_flow_with_parameters_that_it_has(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(import_module(module), name)
    given = [deployment["parameters"], *(schedule.get("parameters", {}) for schedule in deployment["schedules"])]

    assert deployment["entrypoint"] == f"{flow.fn.__module__}.{flow.fn.__name__}"
    assert {name for parameters in given for name in parameters} <= set(inspect.signature(flow.fn).parameters)


@each_deployment
def test_deployment_says_how_to_give_the_parameters_that_it_leaves_open(deployment: dict[str, Any]) -> None:
    module, _, name = deployment["entrypoint"].rpartition(".")
    wanted = inspect.signature(getattr(import_module(module), name).fn).parameters.values()
    missing = {one.name for one in wanted if one.default is one.empty} - set(deployment["parameters"])

    assert all(f"--param {one}=" in deployment["description"] for one in missing)


@pytest.mark.parametrize("deployment", [one for one in DEPLOYMENTS if "recipe" in one["parameters"]], ids=name_of)
def test_deployment_names_a_recipe_that_holds(deployment: dict[str, Any]) -> None:
    loaded = load_recipe(ROOT / deployment["parameters"]["recipe"])

    assert loaded.recipe.name == name_of(deployment)


@each_deployment
def test_deployment_runs_a_recipe_once_at_a_time(deployment: dict[str, Any]) -> None:
    assert deployment["concurrency_limit"]["limit"] == 1


@each_deployment
def test_deployment_is_described_for_people(deployment: dict[str, Any]) -> None:
    assert deployment["tags"]
    assert len(deployment["description"].split()) > 15


def test_deployments_share_one_work_pool_and_only_the_rehearsal_is_scheduled() -> None:
    active = [name_of(one) for one in DEPLOYMENTS for schedule in one["schedules"] if schedule["active"]]

    assert {one["work_pool"]["name"] for one in DEPLOYMENTS} == {"gristmill"}
    assert active == ["rehearsal"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve_site(tmp_path_factory.mktemp("prefect")) as served:
        yield served


@pytest.mark.slow
@pytest.mark.triton
@pytest.mark.timeout(3 * PATIENCE_S)
def test_deployments_run_on_a_real_server_by_hand_and_by_schedule(site: Site) -> None:
    deployed = {one["name"]: one for one in site.read("deployments/filter")}
    assert set(deployed) == {name_of(one) for one in DEPLOYMENTS}

    site.prefect("deployment", "run", "produce/rehearsal")
    by_hand = wait_until(lambda: [run for run in site.runs_of("rehearsal") if not run["auto_scheduled"] and finished(run)], "the run's end", site)[0]
    assert by_hand["state_type"] == "COMPLETED", f"{by_hand['state']}\n{site.explain()}"
    assert list((site.folder / "data" / "releases").glob("*/*/manifest.json"))

    nightly = wait_until(lambda: [run for run in site.runs_of("rehearsal") if run["auto_scheduled"]], "runs planned for the coming nights", site)
    assert {run["expected_start_time"][11:16] for run in nightly} == {"03:00"}
    assert all(run["parameters"]["fresh"] for run in nightly)

    site.prefect("deployment", "schedule", "create", "produce/rehearsal", "--interval", "15", "--replace", "--accept-yes")
    by_schedule = wait_until(lambda: [run for run in site.runs_of("rehearsal") if run["auto_scheduled"] and finished(run)], "a scheduled run's end", site)[0]
    assert by_schedule["state_type"] == "COMPLETED", f"{by_schedule['state']}\n{site.explain()}"
    assert by_schedule["created_by"]["type"] == "SCHEDULE"
