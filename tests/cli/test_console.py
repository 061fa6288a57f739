"""A command that is shown can be copied."""

import sys

import pytest

from cli.console import program


def test_program_is_called_by_name_where_that_is_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/gristmill", "run"])
    monkeypatch.setattr("cli.console.shutil.which", lambda _: "/usr/bin/gristmill")
    assert program() == "gristmill"


def test_program_is_called_by_its_path_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/gristmill", "run"])
    monkeypatch.setattr("cli.console.shutil.which", lambda _: None)
    assert program() == ".venv/bin/gristmill"
