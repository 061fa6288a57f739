"""The report in a real browser: whatever a model or a seed wrote is text there, also without the page's Content-Security-Policy."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from schemas.records import Drop, Message, Reference, Verdict, drop_record
from tasks.report import gather_facts, write_report
from tests.tasks.release_builders import a_conversation, a_pair, a_recipe, some_inputs, write_parts

pytestmark = [pytest.mark.slow, pytest.mark.browser]

RUN = "document.documentElement.dataset.ran=1"
HOSTILE = [
    f"<script>{RUN}</script>",
    f"</p></pre></style></title><script>{RUN}</script>",
    f"<img src=x onerror='{RUN}'>",
    f'"><svg onload="{RUN}">',
    f"' onmouseover='{RUN}' autofocus onfocus='{RUN}' x='",
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<a href='javascript:{RUN}'>x</a><details open ontoggle={RUN}>",
    f"<!--><script>{RUN}</script>-->",
    f"{{{{ '<script>{RUN}</script>' | safe }}}}{{% raw %}}",
    f"\u0000<script\u0000>{RUN}</script>",
    f"<style>@import 'data:text/css,'</style><base href='//x'><meta http-equiv=refresh content='0;url=javascript:{RUN}'>",
]


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("NO CHROMIUM: the report's escaping is not tried in a browser; `.ci/run` installs it")
    return found


def seen_by(browser: str, page: Path) -> str:
    """Load a page, let its scripts run, and give the document as the browser has it then."""
    profile = page.parent / "profile"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=True).stdout


def without_policy(html: str) -> str:
    bare, policies = re.subn(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", html)
    assert policies == 1
    return bare


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_browser_runs_what_is_not_escaped(browser: str, tmp_path: Path) -> None:
    for number, hostile in enumerate([HOSTILE[0], HOSTILE[2], HOSTILE[3]]):
        page = tmp_path / f"bare{number}.html"
        page.write_text(f"<!doctype html><html><body><p>{hostile}</p></body></html>", encoding="utf-8")
        assert 'data-ran="1"' in seen_by(browser, page)


def test_nothing_that_a_model_wrote_runs_in_the_report(browser: str, tmp_path: Path) -> None:
    every = "\n".join(HOSTILE)
    turns = (Message("user", every), Message("assistant", every))
    verdict, known = Verdict("final_number", False, every, every), Reference("final_number", every)
    rows = [
        a_conversation(number, conversation_id=f"{number:032d}", messages=turns, technique=text, category=text, response=text, verdict=verdict, reference=known)
        for number, text in enumerate(HOSTILE)
    ]
    pair = a_pair(0, preference_id="0" * 32, prompt=turns[:1], chosen=turns[1:], rejected=turns[1:], technique=every, category=every, judge=every)
    drops = [drop_record(rows[0], stage="filter", reason=text, detail=text, raw=every, points_to=text) for text in HOSTILE]
    inputs = some_inputs(tmp_path, recipe=a_recipe(title=every), recipe_text=every, error=every, sft=rows, pairs=[pair])
    inputs = replace(inputs, parts={**inputs.parts, "dropped": write_parts(tmp_path / "lost", drops, Drop, 1)})
    page = tmp_path / "report.html"
    page.write_text(without_policy(write_report(gather_facts(inputs))), encoding="utf-8")

    document = seen_by(browser, page)

    assert "data-ran" not in re.sub(r"document\.documentElement\.dataset\.ran", "", document)
    tags = Tags(document)
    assert not tags.names & {"script", "img", "iframe", "base"}
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert "Sample rows" in document
