"""Browsing as a person does it: Playwright drives the machine's own Chromium."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import pytest

from tasks.browse.serving import BrowseServer
from tests.tasks.browse.conftest import HOSTILE
from tests.tasks.release_builders import a_conversation, a_pair

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="module")
def page() -> "Iterator[Page]":
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("NO CHROMIUM: browsing is not tried in a browser; `.ci/run` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        opened = browser.new_page()
        opened.set_default_timeout(60_000)
        yield opened
        browser.close()


def test_keys_go_through_rows_and_pages_and_back(served: BrowseServer, page: "Page") -> None:
    page.goto(served.url)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement === document.querySelectorAll('a.row')[0]")
    page.keyboard.press("n")
    page.wait_for_url("**page=2")
    page.keyboard.press("p")
    page.wait_for_url(served.url.rstrip("/") + "/sft")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sft/*")
    page.keyboard.press("u")
    page.wait_for_selector("a.row")


def test_a_filter_is_clicked_on_and_off(served: BrowseServer, page: "Page") -> None:
    page.goto(f"{served.url}sft")
    page.get_by_role("link", name="math 40").click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("40 rows of sft")
    page.get_by_role("link", name="any").first.click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("60 rows of sft")


def test_a_reward_is_bounded_by_its_labelled_fields(served: BrowseServer, page: "Page") -> None:
    page.goto(f"{served.url}sft")
    page.get_by_label("at least").fill("5.85")
    page.get_by_label("Order").select_option("highest first")
    page.get_by_role("button", name="Apply").click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("1 row of sft")


def test_chosen_and_rejected_stand_beside_each_other_with_differences_marked(served: BrowseServer, page: "Page") -> None:
    page.set_viewport_size({"width": 1300, "height": 900})
    page.goto(f"{served.url}preferences/{a_pair(2).preference_id}")
    left, right = page.locator(".turn.chosen").bounding_box(), page.locator(".turn.rejected").bounding_box()
    assert left is not None
    assert right is not None
    assert left["x"] + left["width"] <= right["x"]
    assert page.locator(".turn.chosen mark").all_inner_texts() == ["0"]
    assert page.locator(".turn.rejected mark").all_inner_texts() == ["1"]


def test_no_script_of_a_row_runs(served: BrowseServer, page: "Page") -> None:
    for path in ("sft", f"sft/{a_conversation(7).conversation_id}", f"preferences/{a_pair(7).preference_id}"):
        page.goto(served.url + path)
        page.wait_for_load_state("load")
        assert page.evaluate("document.documentElement.dataset.ran") is None
    assert HOSTILE.split("<img")[0] in page.locator(".turn.chosen").inner_text()


def test_every_control_has_a_name_and_the_page_has_landmarks(served: BrowseServer, page: "Page") -> None:
    page.goto(f"{served.url}sft")
    unnamed = page.evaluate("[...document.querySelectorAll('input:not([type=hidden]), select')].filter(one => !one.labels.length).length")
    assert unnamed == 0
    for landmark in ("main", "banner", "contentinfo", "complementary"):
        assert page.get_by_role(landmark).count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"


def test_a_narrow_screen_scrolls_only_downwards(served: BrowseServer, page: "Page") -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for path in ("sft", f"sft/{a_conversation(7).conversation_id}", f"preferences/{a_pair(2).preference_id}", "dropped"):
        page.goto(served.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


PAGES_OF_ALL_KINDS = (
    "sft",
    "preferences",
    "dropped",
    "prompts",
    f"sft/{a_conversation(7).conversation_id}",
    f"preferences/{a_pair(2).preference_id}",
    "nothing",
)
HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1]))"
FAINT = """() => {
  const parse = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)).reduce((sum, one, at) => sum + one * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.getClientRects().length) continue;
    const [low, high] = [light(parse(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => a - b);
    if ((high + 0.05) / (low + 0.05) < 4.5) faint.add(node.outerHTML.slice(0, 80));
  }
  return [...faint];
}"""
"""WCAG's contrast of every text with what is behind it: 4.5 at least."""


@pytest.mark.parametrize("path", PAGES_OF_ALL_KINDS, ids=lambda path: path.partition("/")[0])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_and_headings_leave_no_level_out(served: BrowseServer, page: "Page", path: str, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(served.url + path)
    levels = page.evaluate(HEADINGS)

    assert page.evaluate(FAINT) == []
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels) if after > before)
    assert page.evaluate("[...document.querySelectorAll('th')].filter(one => !one.innerText.trim()).length") == 0


def test_focus_can_be_seen_on_every_link_and_control(served: BrowseServer, page: "Page") -> None:
    page.goto(f"{served.url}sft")
    unseen = []
    for _ in range(25):
        page.keyboard.press("Tab")
        if page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "none":
            unseen.append(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))

    assert unseen == []
