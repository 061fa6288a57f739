"""An export's README.md: what it is, how to load it, what must be said; with the front matter that the Hugging Face Hub and `datasets` read."""

from collections.abc import Mapping
from typing import Any

import yaml

from tasks.release.card import REHEARSAL, configs_of
from tasks.release.obligations import Obligations


def write_export_card(release: Mapping[str, Any], to: Mapping[str, str], rows: Mapping[str, int], obligations: Obligations, *, rehearsal: bool) -> str:
    """Write the card of a release's export; `to` has the format's name and purpose, `rows` the rows of each split as they were written."""
    named = f"{release['name']}/{release['version']}"
    front = yaml.safe_dump(_front_matter(release, to["name"], rows, rehearsal=rehearsal), sort_keys=False, allow_unicode=True, width=160)
    prefixes = obligations.model_name_prefixes
    sections = [
        f"# {release['name']}, as {to['name']}",
        *([f"> **{REHEARSAL}**"] if rehearsal else []),
        *(f"**{line}**" for line in obligations.display),
        f"The release `{named}` in the form `{to['name']}`: {to['purpose'].rstrip('.')}. [export.json](export.json) names the release by its checksum, says "
        "what was left out and why (each record is in [left_out.jsonl](left_out.jsonl)), and holds the checksum of every file.",
        "| split | rows |\n| --- | ---: |\n" + "\n".join(f"| {name} | {count:,} |" for name, count in rows.items()),
        f'```python\nimport datasets\nrows = datasets.load_dataset("OWNER/NAME", "{next(iter(rows), "sft/train").partition("/")[0]}")\n```',
        "## Terms\n\nWhat must be said wherever these files, or a model trained on them, are offered: [NOTICE](NOTICE)."
        + "".join(f" The name of such a model begins with “{prefix}”." for prefix in prefixes),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(release: Mapping[str, Any], to: str, rows: Mapping[str, int], *, rehearsal: bool) -> dict[str, Any]:
    return {
        "pretty_name": f"{release['name']}, as {to}",
        "license": "other",
        "license_name": "see-notice",
        "license_link": "NOTICE",
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "gristmill", to, *(["rehearsal"] if rehearsal else [])],
        "configs": configs_of(rows, "jsonl"),
        "gristmill": {"name": release["name"], "version": release["version"], "run": release["run_id"], "rehearsal": rehearsal, "format": to},
    }
