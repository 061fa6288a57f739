"""Docs are executed: commands parse or run, generated pages are current, links lead somewhere."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cli.contents import CONTENTS
from cli.main import app
from cli.reference import pages

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "decisions").glob("*.md")])
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCED.findall(page.read_text(encoding="utf-8")) if found == language]


def shell_lines(page: Path) -> list[str]:
    """Lines of shell code: fenced, or indented by four."""
    fenced = [line.strip() for block in blocks(page, "bash") for line in block.splitlines()]
    indented = [line.strip() for line in FENCED.sub("", page.read_text(encoding="utf-8")).splitlines() if line.startswith("    ")]
    return [line.partition("  # ")[0] for line in fenced + indented]


def commands(program: str) -> list[str]:
    return sorted({line for page in PAGES for line in shell_lines(page) if line.split(" ")[0] == program})


def help_examples() -> list[str]:
    found = re.findall(r"\bExample: `?(gristmill [^`\n]+)", (ROOT / "docs" / "commands.md").read_text(encoding="utf-8"), re.MULTILINE)
    return sorted(set(found))


def parse(line: str) -> None:
    """Parse a command as if it were called; whatever is wrong with it raises."""
    from typer.main import get_command

    command = get_command(app)
    context, words = command.make_context("gristmill", shlex.split(line)[1:]), shlex.split(line)[1:]
    while hasattr(command, "resolve_command"):
        name, command, words = command.resolve_command(context, words)
        context = command.make_context(name, list(words), parent=context)


@pytest.mark.parametrize("line", commands("gristmill") + help_examples())
def test_a_command_in_the_docs_parses(line: str) -> None:
    parse(line)


def test_the_parser_sees_a_wrong_command() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse("gristmill run recipes/rehearsal.yaml --frehs")


@pytest.mark.parametrize("line", commands("make"))
def test_a_make_command_in_the_docs_has_its_target(line: str) -> None:
    done = subprocess.run([*shlex.split(line), "--dry-run"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in target]

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_generated_pages_are_current() -> None:
    stale = [path.name for path, text in pages(ROOT / "docs").items() if not path.exists() or path.read_text(encoding="utf-8") != text]

    assert stale == [], "run `make docs`"


def test_every_command_has_an_example() -> None:
    examples = " ".join(help_examples())

    assert [chapter.name for chapter in CONTENTS if f"gristmill {chapter.name}" not in examples] == []


def test_every_recipe_is_spoken_of() -> None:
    said = "".join(page.read_text(encoding="utf-8") for page in PAGES)

    assert [path.name for path in (ROOT / "recipes").glob("*.yaml") if path.name not in said] == []


@pytest.mark.slow
@pytest.mark.triton
@pytest.mark.timeout(900)
def test_the_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    """Every block of it in order, up to the real engines; `make demo` less its set-up, which is there."""
    tutorial = ROOT / "docs" / "tutorial.md"
    recipe = blocks(tutorial, "yaml")[0]
    script = "\n".join(block for block in blocks(tutorial, "bash") if "GRISTMILL_ENGINES" not in block)
    script = script.replace("make demo", "gristmill run recipes/rehearsal.yaml").replace("source .venv/bin/activate", "")
    operations = next(block for block in blocks(ROOT / "docs" / "operations.md", "bash") if "--json" in block)
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.yaml").write_text(recipe, encoding="utf-8")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "GRISTMILL_DATA": str(tmp_path / "data")}

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{script}\n{operations}\necho published $release"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert f"published {tmp_path / 'data' / 'releases' / 'rehearsal' / 'v1'}" in done.stdout
    assert yaml.safe_load(recipe)["name"] == "my-questions"
    assert (tmp_path / "data" / "releases" / "my-questions" / "v1" / "manifest.json").is_file()
    assert {"prompt", "chosen", "rejected"} <= set(
        json.loads((tmp_path / "mine" / "dpo" / "preferences" / "train" / "part-00000.jsonl").read_text().splitlines()[0])
    )
