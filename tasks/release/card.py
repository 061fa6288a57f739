"""The data card (README.md, with the front matter that the Hugging Face Hub and `datasets` read) and NOTICE of a release."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from schemas.licences import Licence
from tasks.release.accounts import Account
from tasks.release.inputs import ReleaseInputs
from tasks.release.obligations import Obligations, Usage
from tasks.release.quota import describe_quota

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"))
_ABOUT = {
    "sft": ("Instruction data", "one conversation a row, ending with the assistant: `messages`, with scores, verdict, lineage and provenance"),
    "preferences": ("Preference pairs", "two answers to one prompt, the better one chosen: `prompt`, `chosen`, `rejected`, both rewards and their margin"),
    "prompts": ("Prompts", "every prompt that passed screening, answered or not"),
    "dropped": ("Dropped records", "every record that did not make it, whole, with stage, `reason` and detail"),
}
REHEARSAL = (
    "This is a rehearsal. Its text was written by small built-in grammars and graded by rules, not by language models. "
    "It shows that a recipe works; it is not training data."
)


def write_card(inputs: ReleaseInputs, rows: Mapping[str, int], usage: Usage, obligations: Obligations, accounts: Iterable[Account]) -> str:
    """Write README.md."""
    front = yaml.safe_dump(_front_matter(inputs, rows, obligations), sort_keys=False, allow_unicode=True, width=160)
    sections = [
        f"# {_title(inputs)}",
        *([f"> **{REHEARSAL}**"] if inputs.rehearsal else []),
        *(f"**{line}**" for line in obligations.display),
        _summary(inputs, rows),
        "## What is in it\n\n" + _contents(rows),
        f"## How to load it\n\n```python\n{loading_snippet(inputs, rows)}\n```",
        "## How it was made\n\n" + _making(inputs, rows, accounts),
        "## Models\n\nRows that each model had a hand in, by role; a reward model's hand is its grade.\n\n" + _models(usage),
        "## Sources\n\n" + _sources(usage),
        "## Terms\n\n" + _terms(obligations),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def write_notice(inputs: ReleaseInputs, usage: Usage, obligations: Obligations) -> str:
    """Write NOTICE: the attributions that the licences ask for, and whose models and sources they are."""
    lines = [f"{inputs.name} {inputs.version}", "Made with Gristmill.", ""]
    if inputs.rehearsal:
        lines += ["REHEARSAL: " + REHEARSAL, ""]
    lines += [*obligations.display, *([""] if obligations.display else [])]
    lines += [*obligations.attributions, *([""] if obligations.attributions else [])]
    if obligations.model_name_prefixes:
        lines += [_name_duty(obligations), ""]
    lines += ["Models with a hand in these rows:"]
    lines += sorted({f"  {one.model} (revision {one.revision}), {one.licence}" for one in usage.models}) or ["  none"]
    lines += ["", "Sources of the seeds:", *(sorted({f"  {one.name}, {one.licence}" for one in usage.sources}) or ["  none"])]
    lines += ["", "Licences:", *(f"  {one.id}: {one.title}, {one.url}" for one in obligations.licences)]
    return "\n".join(lines) + "\n"


def loading_snippet(inputs: ReleaseInputs, rows: Mapping[str, int]) -> str:
    """Show how to read the release."""
    first = next((name for name in rows if rows[name]), "sft/train")
    return (
        f'release = "releases/{inputs.name}/{inputs.version}"  # wherever this folder is\n\n'
        "import datasets\n"
        f'rows = datasets.load_dataset(release, "{first.partition("/")[0]}")\n\n'
        "import polars\n"
        f'rows = polars.read_parquet(f"{{release}}/{first}/*.parquet")\n\n'
        "import duckdb\n"
        f'rows = duckdb.read_parquet(f"{{release}}/{first}/*.parquet")'
    )


def _front_matter(inputs: ReleaseInputs, rows: Mapping[str, int], obligations: Obligations) -> dict[str, Any]:
    tags = ["synthetic", "gristmill", *(["rehearsal"] if inputs.rehearsal else []), *(["dpo", "preference"] if rows.get("preferences/train") else [])]
    return {
        "pretty_name": _title(inputs),
        "language": [inputs.recipe.language],
        "license": "other",
        "license_name": "see-notice",
        "license_link": "NOTICE",
        "task_categories": ["text-generation"],
        "size_categories": [_size(sum(count for name, count in rows.items() if name.startswith(("sft/", "preferences/"))))],
        "tags": tags,
        "configs": configs_of(rows),
        "gristmill": {
            "name": inputs.name,
            "version": inputs.version,
            "run": inputs.run_id,
            "rehearsal": inputs.rehearsal,
            "obligations": {"display": list(obligations.display), "model_name_prefixes": list(obligations.model_name_prefixes)},
        },
    }


def configs_of(rows: Mapping[str, int], ending: str = "parquet") -> list[dict[str, Any]]:
    """Name the splits that have rows: `datasets` refuses a split without any."""
    splits: dict[str, list[dict[str, str]]] = {}
    for name, count in rows.items():
        data_set, _, split = name.partition("/")
        if count:
            splits.setdefault(data_set, []).append({"split": split or "train", "path": f"{name}/*.{ending}"})
    named = [{"config_name": data_set, "data_files": files} for data_set, files in splits.items()]
    return [{**one, "default": True} if place == 0 else one for place, one in enumerate(named)]


def _size(rows: int) -> str:
    return next((label for limit, label in _SIZES if rows < limit), "n>100M")


def _title(inputs: ReleaseInputs) -> str:
    return inputs.recipe.title or inputs.name


def _summary(inputs: ReleaseInputs, rows: Mapping[str, int]) -> str:
    made = {name: sum(count for key, count in rows.items() if key.startswith(f"{name}/")) for name in ("sft", "preferences")}
    return (
        f"Release `{inputs.name}/{inputs.version}`: {made['sft']:,} conversations for instruction tuning and {made['preferences']:,} preference pairs, "
        f"language `{inputs.recipe.language}`, made by [Gristmill](report.html) from the recipe in [recipe.yaml](recipe.yaml). "
        "[manifest.json](manifest.json) holds the checksum of every file, [expectations/](expectations/) what was checked."
    )


def _contents(rows: Mapping[str, int]) -> str:
    lines = [(f"`{name}`", f"{count:,}", *_ABOUT[name.partition("/")[0]]) for name, count in rows.items()]
    return _table(("folder", "rows", "what", "a row is"), lines)


def _making(inputs: ReleaseInputs, rows: Mapping[str, int], accounts: Iterable[Account]) -> str:
    techniques = ", ".join(f"`{entry.technique}`" for entry in inputs.recipe.prompts)
    answers = ", ".join(f"`{entry.technique}` × {entry.samples}" for entry in inputs.recipe.responses)
    filters = ", ".join(f"`{entry.filter}`" for entry in inputs.recipe.filters) or "none"
    told = f"Prompts by {techniques}; answers by {answers}; filters: {filters}. Run `{inputs.run_id}`, recipe fingerprint `{inputs.fingerprint}`."
    if inputs.recipe.redact:
        told += f" Personal data stands as placeholders: {', '.join(inputs.recipe.redact.kinds)}; `redacted` tells each row's."
    if inputs.descent:
        told += " " + _descent(inputs.descent)
    lines = [_account_line(account) for account in accounts]
    apart = "Prompts of `sft` and prompts of `preferences` are two sets that have none in common. " if inputs.recipe.split else ""
    quota = describe_quota(inputs, rows)
    told += f" {apart}{' '.join(quota['lines']) if quota else ''}".rstrip()
    return f"{told}\n\nEvery row requested is published or in `dropped/` with its reason:\n\n" + _table(
        ("unit", "requested", "kept", "dropped", "deduplicated", "contaminated"), lines
    )


def _descent(told: Mapping[str, Any]) -> str:
    if told["kind"] == "regrade":
        return f"The answers are those of run `{told['run']}` (release `{told['release']}`), graded again; nothing was generated for this release."
    if told["kind"] == "requeue":
        reasons = ", ".join(f"`{reason}`" for reason in told["reasons"])
        return f"It goes on from release `{told['release']}` (run `{told['run']}`), of which drops for {reasons} were put through again."
    origin = f"; its model `{told['model']}` (revision `{told['revision']}`) was trained on release `{told['release']}`" if told.get("release") else ""
    return f"This is generation {told['round']}{origin}."


def _account_line(account: Account) -> tuple[str, ...]:
    lost = (f"{account.lost(kind):,}" for kind in ("dropped", "deduplicated", "contaminated"))
    return (account.unit, f"{account.requested:,}", f"{account.kept:,}", *lost)


def _models(usage: Usage) -> str:
    lines = [(use.role, f"`{use.model}`", use.revision, use.licence, use.engine, _spread(rows)) for use, rows in sorted(usage.models.items())]
    return _table(("role", "model", "revision", "licence", "engine", "rows"), lines) if lines else "None."


def _sources(usage: Usage) -> str:
    lines = [(source.name, source.licence, _spread(rows)) for source, rows in sorted(usage.sources.items())]
    return _table(("source", "licence", "rows"), lines) if lines else "No seed came from outside: all prompts were written by the models above."


def _spread(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} in {name}" for name, count in sorted(rows.items()))


def _terms(obligations: Obligations) -> str:
    lines = ["This card grants nothing by itself; the terms of what the rows were made from are these (facts, not legal advice):", ""]
    lines += [_licence_line(licence) for licence in obligations.licences]
    if obligations.display:
        lines += ["", f"Say prominently, wherever this data or a model trained on it is offered: {', '.join(f'“{one}”' for one in obligations.display)}."]
    if obligations.model_name_prefixes:
        lines += [_name_duty(obligations)]
    if not obligations.display and not obligations.attributions:
        lines += ["", "None of them asks for an attribution, or for anything of a model trained on these rows."]
    lines += [f"\n{line}" for line in obligations.attributions]
    return "\n".join(lines)


def _name_duty(obligations: Obligations) -> str:
    prefixes = " and ".join(f"“{prefix}”" for prefix in obligations.model_name_prefixes)
    return f"The name of a model trained or improved with this data and made available begins with {prefixes}."


def _licence_line(licence: Licence) -> str:
    policy = f", with its [acceptable use policy]({licence.acceptable_use})" if licence.acceptable_use else ""
    forbidden = "".join(f"; **forbids {act}**, clause {clause}" for act, clause in licence.forbids.items())
    return f"- [{licence.title}]({licence.url}) (`{licence.id}`, text of version {licence.version}){policy}{forbidden}"


def _table(head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rows = [head, tuple("---" for _ in head), *lines]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


def pretty_json(value: Any) -> str:
    """Write JSON for people: indented, in the given order."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
