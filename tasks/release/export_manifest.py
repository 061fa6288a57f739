"""What an export says of itself: where its rows come from, what was left out and why, what their licences ask, and every file's checksum.

No clock time stands in it: the same release, format and options give the same bytes.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.storage import sha256_file
from schemas.errors import NotFoundError
from schemas.licences import Licence
from tasks.release.export_rows import REASONS, TURN_MARKS, Published, licences_of
from tasks.release.manifest import Fault
from tasks.release.obligations import Obligations, compute_obligations

FORMAT = "gristmill-export/1"
EXPORT_MANIFEST = "export.json"
_ESTIMATE = f"four characters of a script with spaces, or one of another, each; {TURN_MARKS} for the marks of each turn"


@dataclass
class Touched:
    """Models and licences on the records that were exported; those of left-out records don't count."""

    models: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(role, model, licence) to records."""
    sources: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(name, licence) to records."""
    licences: dict[str, Licence] = field(default_factory=dict)
    rehearsals: int = 0

    def add(self, record: Published) -> None:
        """Count a record."""
        self.models.update({(use.role, use.model, use.licence) for use in record.provenance.models})
        self.sources.update({(one.name, one.licence) for one in record.provenance.sources})
        self.licences |= {licence.id: licence for licence in licences_of(record.provenance)}
        self.rehearsals += record.provenance.rehearsal

    def obligations(self) -> Obligations:
        """Join what the licences ask."""
        return compute_obligations(self.licences[name] for name in sorted(self.licences))


def manifest_json(about: Mapping[str, Any], *, counts: Mapping[str, Any], touched: Touched, folder: Path) -> dict[str, Any]:
    """Put the manifest together: `about` has the format (`to`), the `release` and the `options`; `folder` is complete but for the manifest."""
    lost = sum((Counter(count["left_out"]) for count in counts.values()), Counter[str]())
    return {
        "format": FORMAT,
        "to": about["to"],
        "release": about["release"],
        "rehearsal": bool(about["release"]["rehearsal"] or touched.rehearsals),
        "options": {**about["options"], "tokens_are": _ESTIMATE if about["options"]["max_tokens"] is not None else None},
        "rows": dict(counts),
        "left_out": [{"reason": reason, "records": rows, "meaning": REASONS.get(reason, "")} for reason, rows in sorted(lost.items())],
        "obligations": touched.obligations().to_json(),
        "models": [{"role": role, "model": model, "licence": licence, "records": rows} for (role, model, licence), rows in sorted(touched.models.items())],
        "sources": [{"name": name, "licence": licence, "records": rows} for (name, licence), rows in sorted(touched.sources.items())],
        "files": [_describe(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()],
    }


def export_notice(manifest: Mapping[str, Any], touched: Touched) -> str:
    """Write what must be said wherever these files, or a model trained on them, are offered."""
    asked = touched.obligations()
    lines = [f"Exported from the release {manifest['name']}/{manifest['version']}."]
    if manifest["rehearsal"] or touched.rehearsals:
        lines.append("REHEARSAL: made by rehearsal models without a neural network. Not for training.")
    lines += [*asked.display, *asked.attributions]
    lines += [f"The name of a model trained on these files must begin with “{prefix}”." for prefix in asked.model_name_prefixes]
    lines += [f"{licence.title}: {licence.url}" for licence in asked.licences]
    return "\n".join(lines) + "\n"


def read_export(folder: Path) -> dict[str, Any]:
    """Read an export's manifest. Raises NotFoundError for what is none."""
    try:
        made = json.loads((folder / EXPORT_MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotFoundError(f"no export at {folder}: can't read its {EXPORT_MANIFEST} ({error})") from error
    if not isinstance(made, dict) or made.get("format") != FORMAT:
        raise NotFoundError(f"{folder / EXPORT_MANIFEST} is not of the format {FORMAT}: this is not an export, or one of another version of Gristmill")
    return made


def verify_export(folder: Path) -> list[Fault]:
    """Read a whole export again and list every file that is not as its manifest says."""
    listed = {one["path"]: one["sha256"] for one in read_export(folder)["files"]}
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {EXPORT_MANIFEST}
    faults = [Fault(name, "is missing") for name in sorted(listed.keys() - present)]
    faults += [Fault(name, "is not in the manifest") for name in sorted(present - listed.keys())]
    return faults + [Fault(name, "has another checksum") for name in sorted(listed.keys() & present) if sha256_file(folder / name) != listed[name]]


def json_line(row: Mapping[str, Any]) -> bytes:
    """Encode a row as one line, whatever its reader takes for the end of one (Unicode has three more than JSON). Raises ValueError on NaN."""
    line = json.dumps(row, ensure_ascii=False, allow_nan=False)
    for sign in ("\u2028", "\u2029", "\x85"):
        line = line.replace(sign, f"\\u{ord(sign):04x}")
    return line.encode() + b"\n"


def _describe(folder: Path, path: Path) -> dict[str, Any]:
    return {"path": str(path.relative_to(folder)), "bytes": path.stat().st_size, "sha256": sha256_file(path)}
