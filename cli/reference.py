"""Writes the generated pages of docs/ from what they describe: `python -m cli.reference docs` (`make docs`); a test says when one is stale.

docs/recipes.md from the recipe's models and the modules found, docs/commands.md from the commands, and in docs/operations.md the tables of settings
and exit codes, between marks.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from cli.contents import CONTENTS
from cli.techniques_page import refreshed

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo
    from typer._click.core import Command

    from schemas.errors import GristmillError

_NOTE = "<!-- Written by `make docs` from the code: change it there. -->"
_MARK = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_KINDS = {
    "prompts": ("Prompt techniques", "`prompts: - technique: NAME`. Each gives prompts; several may stand side by side, also the same one twice."),
    "responses": ("Response techniques", "`responses: - technique: NAME`. Each answers the prompts of the techniques in `only`, or all."),
    "filters": ("Filters", "`filters: - filter: NAME`. In order; the first that hits is the reason of the drop."),
    "judges": ("Judges", "`pairs: {judges: [- judge: NAME]}`. The first with an opinion on two answers decides which is the better one."),
    "verifiers": ("Verifiers", "Named by a reference answer (`verifier:` of `seeds`): they tell right answers from wrong ones."),
}
_ENTRIES = {
    "TechniqueEntry": "list of techniques",
    "ResponseEntry": "list of techniques",
    "FilterEntry": "list of filters",
    "JudgeEntry": "list of judges",
    "BenchmarkOptions": "list of benchmarks",
}


def write_pages(docs: Path) -> list[Path]:
    """Write every generated page; give those that changed."""
    changed = []
    for path, text in pages(docs).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def pages(docs: Path) -> dict[Path, str]:
    """Give every generated page as it should be."""
    operations = docs / "operations.md"
    tables = {"settings": settings_table(), "exits": exits_table()}
    mended = _MARK.sub(lambda found: f"{found[1]}{tables[found[2]]}{found[3]}", operations.read_text(encoding="utf-8"))
    techniques = docs / "techniques.md"
    return {techniques: refreshed(techniques), docs / "recipes.md": recipes_page(), docs / "commands.md": commands_page(), operations: mended}


def recipes_page() -> str:
    """Describe every key of a recipe."""
    from schemas import recipe

    top = "\n".join(
        (
            f"# Recipes\n\n{_NOTE}\n",
            "A recipe is one YAML file that says what to make; where to make it is no business of it (that is [settings](operations.md)). Unknown keys are",
            "errors, and everything is checked before any work: `gristmill run RECIPE --dry-run`. The whole of a recipe is a run's identity: change anything",
            "but its budget, comments, order of keys or the file's name, and it is another run (which reuses every paid call that both have in common).\n",
            "`recipes/rehearsal.yaml` is an example with a comment on each part; `recipes/all-techniques.yaml` has every prompt technique at once.\n",
            "## The whole\n",
        )
    )
    groups: list[tuple[str, str, type[BaseModel]]] = [
        ("`prompts` entries", "One for each technique; its own options stand beside these.", recipe.TechniqueEntry),
        ("`responses` entries", "One for each technique; its own options stand beside these.", recipe.ResponseEntry),
        ("`filters` entries", "One for each filter; its own parameters stand beside these.", recipe.FilterEntry),
        ("`diversity`", "A budget on copies while prompts are written. ([Why so](decisions/diversity-budget.md))", recipe.DiversityOptions),
        ("`split`", "Two sets of prompts, one for instruction data and one for preferences.", recipe.SplitOptions),
        ("`release: {rows: …}`", "Exactly so many rows. ([Why so](decisions/exact-rows.md))", recipe.RowsOptions),
        ("`screen`", "What is done to prompts before any answer is paid for.", recipe.ScreenOptions),
        ("`decontaminate` entries", "One for each benchmark file.", recipe.BenchmarkOptions),
        ("`score`", "How conversations are graded.", recipe.ScoreOptions),
        ("`score: {appraisal: …}`", "What the reward engine must have shown.", recipe.AppraisalOptions),
        ("`dedup`", "Which records count as copies. (Also under `screen`, for prompts.)", recipe.DedupOptions),
        ("`redact`", "Personal data out of sight.", recipe.RedactOptions),
        ("`dedup: {near: …}`", "Near-duplicates by MinHash.", recipe.NearOptions),
        ("`dedup: {semantic: …}`", "Copies in meaning by embeddings.", recipe.SemanticOptions),
        ("`pairs`", "How preference pairs are made.", recipe.PairOptions),
        ("`sft`", "Which conversations become instruction data.", recipe.SftOptions),
        ("`release`", "The layout of what is published.", recipe.ReleaseOptions),
        ("`budget`", "What may be spent. Changing it does not make another run.", recipe.BudgetOptions),
        ("`sampling`", "How a model's answers are drawn; part of every technique that asks one.", recipe.SamplingOptions),
    ]
    sections = [f"## {title}\n\n{purpose}\n\n{_options_table(model)}" for title, purpose, model in groups]
    return "\n".join([top, _options_table(recipe.Recipe), *sections, *_module_sections()])


def commands_page() -> str:
    """Describe every command."""
    parts = [f"# Commands\n\n{_NOTE}\n\n`gristmill --help` lists them, `gristmill COMMAND --help` explains one. `--json` is there where output is data.\n"]
    for chapter in CONTENTS:
        command = chapter.load()
        parts += [_command(name, one) for name, one in _commands(f"gristmill {chapter.name}", command)]
    return "\n".join(parts)


def settings_table() -> str:
    """List the settings with their defaults."""
    from infra.settings import ROOT, Settings
    from tasks.discovery import describe_options

    # Of a documentation string, the first line; the rest is in the code.
    rows = ((f"`GRISTMILL_{one.name.upper()}`", _default(one.default, str(ROOT)), _one_line(one.doc)) for one in describe_options(Settings))
    return _table(("setting", "default", "meaning"), rows)


def exits_table() -> str:
    """List the exit codes of a run."""
    from schemas.errors import GristmillError

    meanings: dict[int, list[str]] = {0: ["All is well; of `run`: published, or finished before."]}
    for error in _tree(GristmillError):
        if error is not GristmillError and not any(error.exit_code == parent.exit_code for parent in error.__mro__[1:] if hasattr(parent, "exit_code")):
            meanings.setdefault(error.exit_code, []).append(_one_line((error.__doc__ or "").partition("; `")[0]).rstrip(".") + ".")
    meanings[1] = ["A defect of Gristmill's, or an error without a code of its own."]
    meanings[2].append("Or a wrong option on the command line.")
    return _table(("exit code", "meaning"), ((f"`{code}`", " ".join(said)) for code, said in sorted(meanings.items())))


def _module_sections() -> Iterator[str]:
    from tasks.discovery import describe

    for kind, (title, how) in _KINDS.items():
        yield f"## {title}\n\n{how}\n"
        for one in describe(kind):  # type: ignore[arg-type]
            rows = [(f"`{option.name}`", option.type, _default(option.default), _one_line(option.doc)) for option in one.options]
            yield f"### `{one.name}`\n\n{one.purpose}\n" + (f"\n{_table(('option', 'type', 'default', 'meaning'), rows)}" if rows else "")


def _options_table(model: "type[BaseModel]") -> str:
    return _table(("key", "type", "default", "meaning"), (_option(name, field) for name, field in model.model_fields.items()))


def _option(name: str, field: "FieldInfo") -> tuple[str, str, str, str]:
    from pydantic import BaseModel

    from tasks.discovery import describe_options

    inner = [one for one in (field.annotation, *get_args(field.annotation)) if isinstance(one, type) and issubclass(one, BaseModel)]
    if inner:
        kind = _ENTRIES.get(inner[0].__name__, "mapping, see below" + (" | null" if type(None) in get_args(field.annotation) else ""))
        default = "**required**" if field.is_required() else "see below" if kind.startswith("mapping") else _entries(field.default)
        return f"`{name}`", kind, default, _one_line(field.description or "")
    holder = type("Holder", (), {"model_fields": {name: field}})
    one = describe_options(holder)[0]
    kind = "mapping of text to text" if name == "models" else one.type
    return f"`{name}`", kind, _default(one.default), _one_line(one.doc)


def _entries(default: Sequence[Any]) -> str:
    return ", ".join(f"`{next(iter(one.model_dump().values()))}`" for one in default) or "`[]`"


def _commands(path: str, command: "Command") -> "Iterator[tuple[str, Command]]":
    inner: dict[str, Command] = getattr(command, "commands", {})
    if not inner:
        yield path, command
    for name, one in inner.items():
        yield from _commands(f"{path} {name}", one)


def _command(name: str, command: "Command") -> str:
    said = re.sub(r"\[/?bold\]", "`", "\n\n".join(filter(None, (command.help, command.epilog))))
    paragraphs = [" ".join(one.split()) for one in said.split("\n\n")]
    rows = [
        (_spelling(one), _default_of(one), _one_line(getattr(one, "help", "") or ""))
        for one in command.params
        if "--help" not in one.opts and one.name != "help"
    ]
    table = f"\n{_table(('option', 'default', 'meaning'), rows)}" if rows else ""
    return f"## `{name}`\n\n" + "\n\n".join(paragraphs) + f"\n{table}"


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{one}`" for one in (*parameter.opts, *parameter.secondary_opts))


def _default_of(parameter: Any) -> str:
    if parameter.required:
        return "**required**"
    return "" if parameter.default in (None, False, (), []) else f"`{parameter.default}`"


def _default(default: str | None, root: str = "") -> str:
    if default is None:
        return "**required**"
    if default in ("null", '""'):
        return ""
    return f"`{default.replace(root + '/', '') if root else default}`"


def _tree(error: "type[GristmillError]") -> "Iterator[type[GristmillError]]":
    yield error
    for child in error.__subclasses__():
        yield from _tree(child)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    plain = " ".join(text.split())
    return plain if "`" in plain else plain.replace("<", "&lt;")


if __name__ == "__main__":
    for page in write_pages(Path(sys.argv[1])):
        print(f"wrote {page}")
