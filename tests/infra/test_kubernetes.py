"""infra/k8s: what can be checked of it without a cluster."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings import ROOT, Settings, parse_address
from schemas.model_card import all_cards

FOLDER = ROOT / "infra" / "k8s"
VERSION = "1.33"
"""Of Kubernetes, as the manifests are checked against; nothing here is newer than 1.25."""
VALIDATE = """
import json, sys
import kubernetes_validate
faults = []
for name, one in json.load(sys.stdin):
    try:
        kubernetes_validate.validate(one, sys.argv[1], strict=True)
    except kubernetes_validate.ValidationError as error:
        faults.append(f"{name}: {list(error.path)}: {error.message}")
print(json.dumps(faults))
"""


def kustomization(folder: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    return read


def documents(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                yield f"{path.relative_to(FOLDER)} {one['kind']} {one['metadata']['name']}", one


def everything() -> list[tuple[str, dict[str, Any]]]:
    return [one for folder in (FOLDER / "base", *sorted((FOLDER / "overlays").iterdir())) for one in documents(folder)]


def whole() -> list[tuple[str, dict[str, Any]]]:
    """All but patches, which are parts of an object."""
    patches = {FOLDER / "overlays" / "rehearsal" / "worker.yaml"}
    return [(name, one) for name, one in everything() if FOLDER / name.split()[0] not in patches]


def pods() -> list[tuple[str, dict[str, Any]]]:
    return [(name, one["spec"]["template"]["spec"]) for name, one in whole() if "template" in one.get("spec", {})]


@pytest.mark.slow
def test_every_manifest_is_what_the_kubernetes_api_defines(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "kubernetes-validate"], check=True, capture_output=True)
    done = subprocess.run([python, "-c", VALIDATE, VERSION], input=json.dumps(whole()), capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_every_file_is_named_by_its_kustomization_and_the_other_way_round() -> None:
    for folder in (FOLDER / "base", *(FOLDER / "overlays").iterdir()):
        said = kustomization(folder)
        named = {one for one in said.get("resources", []) if one.endswith(".yaml")} | {one["path"] for one in said.get("patches", [])}
        assert named == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert [one for one in said.get("resources", []) if not (folder / one).exists()] == []


def test_the_database_script_is_the_one_that_compose_uses() -> None:
    # Kustomize reads no file outside its own folder.
    assert (FOLDER / "base" / "databases.sh").read_bytes() == (ROOT / "infra" / "containers" / "postgres" / "databases.sh").read_bytes()


@pytest.mark.parametrize(("name", "pod"), pods(), ids=[name for name, _ in pods()])
def test_no_pod_gains_privileges_or_grows_without_limit(name: str, pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


def test_services_find_the_pods_that_they_are_for() -> None:
    labels = [one["spec"]["template"]["metadata"]["labels"] for _, one in whole() if "template" in one.get("spec", {})]
    selectors = [one["spec"]["selector"] for _, one in whole() if one["kind"] == "Service"]

    assert len(selectors) == 5
    assert [selector for selector in selectors if not any(selector.items() <= label.items() for label in labels)] == []


def test_every_mounted_volume_is_there() -> None:
    claims = {one["metadata"]["name"] for _, one in whole() if one["kind"] == "PersistentVolumeClaim"}
    for name, pod in pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        made = {"postgres"} if "StatefulSet postgres" in name else set()
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted <= volumes.keys() | made
        assert {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if "persistentVolumeClaim" in volume} <= claims


def test_settings_are_ones_that_gristmill_reads() -> None:
    literals = [one for folder in ("base", "overlays/gpu") for made in kustomization(FOLDER / folder)["configMapGenerator"] for one in made.get("literals", ())]
    given = dict(one.split("=", 1) for one in literals)
    engines = dict(one.split("=", 1) for one in given["GRISTMILL_ENGINES"].split())

    assert {name.removeprefix("GRISTMILL_").lower() for name in given if name.startswith("GRISTMILL_")} <= set(Settings.model_fields)
    assert engines.keys() <= all_cards().keys()
    assert {parse_address(url).host for url in engines.values()} <= {one["metadata"]["name"] for _, one in whole() if one["kind"] == "Service"}
