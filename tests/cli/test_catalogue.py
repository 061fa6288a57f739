"""What `gristmill techniques` and `gristmill filters` show."""

import json
from collections.abc import Callable

import pytest

from cli.main import main
from tasks.discovery import names

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def gristmill(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_techniques_names_every_technique_judge_and_verifier(gristmill: Run) -> None:
    code, out, _ = gristmill("techniques", "--json")
    listed = {(doc["kind"], doc["name"]) for doc in json.loads(out)}
    assert code == 0
    assert listed == {(kind, name) for kind in ("prompts", "responses", "judges", "verifiers") for name in names(kind)}


def test_filters_names_every_filter_with_its_parameters(gristmill: Run) -> None:
    code, out, _ = gristmill("filters", "--json")
    listed = {doc["name"]: [option["name"] for option in doc["options"]] for doc in json.loads(out)}
    assert code == 0
    assert set(listed) == set(names("filters"))
    assert listed["repeated_ngrams"] == ["n", "share"]


@pytest.mark.parametrize(
    ("command", "name", "shown"), [("techniques", "dialogue", "[plain, thorough, critical, practical]"), ("filters", "below_reward", "required")]
)
def test_one_name_shows_its_options(gristmill: Run, command: str, name: str, shown: str) -> None:
    code, out, _ = gristmill(command, name)
    assert code == 0
    assert shown in out


def test_an_unknown_name_is_refused_with_a_guess(gristmill: Run) -> None:
    code, out, err = gristmill("techniques", "dialog")
    assert (code, out) == (7, "")
    assert "nothing here is called 'dialog': did you mean 'dialogue'?" in err
