"""Everything that serves a model, written to a folder: build.sh, a Triton model repository, launch.sh, and a page that says how."""

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from infra.triton.production.building import CONTAINER, MAX_BATCH, build_gpus, build_script, longest_prompt
from infra.triton.production.launching import launch_script, ports
from infra.triton.production.shapes import Shape
from schemas.errors import SettingsError
from schemas.model_card import load_card

_HERE = Path(__file__).resolve().parent
TEMPLATES = _HERE / "templates"
_FIELD = re.compile(r"\$\{(\w+)\}")
_MAX_QUEUE = 512
"""Calls that may wait at the server; what comes above is refused, and the client's limit learns from it."""

_GUIDED = """parameters {{ key: "guided_decoding_backend" value {{ string_value: "xgrammar" }} }}
parameters {{ key: "xgrammar_tokenizer_info_path" value {{ string_value: "{path}" }} }}
"""

_SERVED_AS: dict[str, object] = {"triton_config": {"max_batch_size": 0, "decoupled": False}}

_PAGE = """# {title}

Written by `gristmill engines render`. **Not run on hardware by its authors**; what was checked: the configurations by Triton itself, with stand-ins for
tokenizer and engine.

1. Checkpoint: `{repository}` of the Hugging Face hub; one that needs no build belongs into `{here}/checkpoint`.
   Its tokenizer, in Hugging Face's format: `{here}/tokenizer`.
2. On {gpus} GPUs, in the container `{container}`: `CHECKPOINT=… {here}/build.sh`
3. `{here}/launch.sh`, started {sites}.
4. `export GRISTMILL_ENGINES="{engines}"`, with the host's name, then `gristmill engines check`.
"""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What was written."""

    folder: Path
    models: tuple[str, ...]
    """Of the model repository; none where the checkpoint's own server is launched."""
    engines: tuple[str, ...]
    """For GRISTMILL_ENGINES, one a copy, with HOST for the host's name."""


def render(shape: Shape, folder: Path, *, at: str | None = None, guided: bool = False) -> Rendered:
    """Write a shape's files to a folder, in the place of an earlier rendering of it.

    `at` is where the server will see the folder; default: where it is. `guided` switches guided decoding on, which wants a file that build.sh does not
    write (docs/deployment.md). Raises SettingsError where the folder holds what no rendering wrote.
    """
    _clear(folder)
    place = _Place(shape, PurePosixPath(at or folder.absolute()), guided)
    models = _models(shape)
    for served, template in models.items():
        _write_model(place, folder, served, template)
    _write_script(folder / "build.sh", build_script(shape))
    _write_script(folder / "launch.sh", launch_script(shape))
    if shape.wire == "engine":
        _write_script(folder / "serve.sh", (_HERE / "serve.sh").read_text(encoding="utf-8"))
    (folder / "README.md").write_text(_page(place), encoding="utf-8")
    return Rendered(folder, tuple(models), engines(shape))


def engines(shape: Shape, host: str = "HOST") -> tuple[str, ...]:
    """Give what GRISTMILL_ENGINES says of each copy."""
    if shape.wire == "aligner":
        served, scheme, above = "reward_model", "triton+http", 0
    else:
        served, scheme, above = "reward" if shape.model.logits else "ensemble" if shape.wire == "engine" else "tensorrt_llm", "grpc", 1
    return tuple(f"{shape.model.card}={scheme}://{host}:{port + above}/{served}" for port in ports(shape))


def _models(shape: Shape) -> dict[str, str]:
    """Name of each served model to the folder of its template."""
    if shape.wire == "aligner":
        return {}
    if shape.wire == "llmapi":
        return {"reward": "reward"} if shape.model.logits else {"tensorrt_llm": "llmapi"}
    generating = {name: name for name in ("ensemble", "preprocessing", "tensorrt_llm", "postprocessing")}
    return generating | ({"reward": "reward"} if shape.model.logits else {})


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in the place of `${name}`. Raises KeyError for a name without a value."""
    return _FIELD.sub(lambda found: values[found[1]], template)


@dataclass(frozen=True, slots=True)
class _Place:
    """A shape and where the server will see its files."""

    shape: Shape
    at: PurePosixPath
    guided: bool


def _write_model(place: _Place, folder: Path, served: str, template: str) -> None:
    shape, model = place.shape, folder / "repository" / served
    (model / "1").mkdir(parents=True)
    config = fill((TEMPLATES / template / "config.pbtxt").read_text(encoding="utf-8"), _values(place))
    (model / "config.pbtxt").write_text(config, encoding="utf-8")
    if served == "reward":
        shutil.copyfile(_HERE / "reward_model.py", model / "1" / "model.py")
    if shape.wire == "llmapi":
        # Upstream's model reads YAML; ours, what Python's own library reads.
        arguments = _arguments(place)
        if served == "reward":
            (model / "1" / "llm.json").write_text(json.dumps(arguments, indent=2), encoding="utf-8")
        else:
            (model / "1" / "model.yaml").write_text(yaml.safe_dump(arguments | _SERVED_AS, sort_keys=False), encoding="utf-8")
    # Git and archives forget empty folders; Triton refuses a model without one.
    (model / "1" / ".gitkeep").touch()


def _values(place: _Place) -> dict[str, str]:
    shape = place.shape
    reward = load_card(shape.model.card).reward
    return {
        "max_batch": str(MAX_BATCH),
        "max_queue": str(_MAX_QUEUE),
        "tokenizer": str(place.at / "tokenizer"),
        "tokenizers": "8",
        "engine": str(place.at / "engine"),
        "guided": _GUIDED.format(path=place.at / "xgrammar_tokenizer_info.json") if place.guided else "",
        "attributes": ",".join(reward.attributes) if reward else "",
        "logits": shape.model.logits,
        "context": str(shape.model.context),
        "inner": "engine" if shape.wire == "engine" else "llm",
        # On the engine path a grader only waits, and Triton batches 32 into one; an LLM is loaded once.
        "graders": "4" if shape.wire == "engine" else "1",
    }


def _arguments(place: _Place) -> dict[str, object]:
    """Give the arguments of TensorRT-LLM's `LLM`."""
    shape = place.shape
    return {
        "model": str(place.at / "checkpoint"),
        "tokenizer": str(place.at / "tokenizer"),
        "backend": "pytorch",
        "tensor_parallel_size": shape.tensor,
        "pipeline_parallel_size": shape.pipeline,
        "max_batch_size": MAX_BATCH,
        "max_input_len": longest_prompt(shape),
        "max_seq_len": shape.model.context + bool(shape.model.logits),
    }


def _page(place: _Place) -> str:
    shape = place.shape
    return _PAGE.format(
        title=f"{shape.model.card} on {shape.hardware.name}: {shape.precision}, {shape.copies} x {shape.ranks} GPUs, {shape.wire}",
        repository=shape.model.repository,
        here=place.at,
        container=CONTAINER,
        gpus=build_gpus(shape),
        sites="once" if shape.sites == 1 else f"on each of {shape.sites} nodes",
        engines=" ".join(engines(shape)),
    )


def _write_script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


_OURS = frozenset({"build.sh", "launch.sh", "serve.sh", "README.md", "repository", "checkpoint", "engine", "tokenizer", "xgrammar_tokenizer_info.json"})


def _clear(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    strange = sorted({path.name for path in folder.iterdir()} - _OURS)
    if strange:
        raise SettingsError(f"{folder} holds {', '.join(strange[:3])}, which no rendering wrote: give another --out")
    # Engines and checkpoints cost GPU hours; what is rendered costs nothing.
    shutil.rmtree(folder / "repository", ignore_errors=True)
