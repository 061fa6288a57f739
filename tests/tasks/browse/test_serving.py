"""The server as a client meets it, hostile rows among its own."""

from html.parser import HTMLParser

import httpx
import pytest

from tasks.browse.library import Library
from tasks.browse.serving import BrowseServer
from tests.tasks.browse.conftest import HOSTILE
from tests.tasks.release_builders import a_conversation, a_pair


class Links(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value]


def get(served: BrowseServer, path: str, **headers: str) -> httpx.Response:
    return httpx.get(served.url.rstrip("/") + path, headers=headers, timeout=60)


def test_every_link_of_a_page_leads_somewhere(served: BrowseServer) -> None:
    links = {link for path in ("/", "/preferences", "/dropped", "/sft?technique=math") for link in Links(get(served, path).text).links if link.startswith("/")}

    assert len(links) > 60
    assert {link: code for link in links if (code := get(served, link).status_code) != 200} == {}


def test_a_row_leads_to_its_prompt_and_to_what_became_of_its_siblings(served: BrowseServer) -> None:
    pair = a_pair(3)
    page = get(served, f"/preferences/{pair.preference_id}").text

    assert f"/prompts/{pair.prompt_id}" in Links(page).links
    assert f"/sft/{pair.chosen_id}" in Links(page).links
    assert "nemotron-4-340b-instruct" in page


def test_what_a_model_wrote_is_shown_and_never_markup(served: BrowseServer, library: Library) -> None:
    for path in ("/sft", "/preferences", f"/sft/{a_conversation(7).conversation_id}", f"/preferences/{a_pair(7).preference_id}", "/sft?id=" + HOSTILE[:20]):
        page = get(served, path)
        parsed = Links(page.text)
        assert {"img", "svg", "iframe"}.isdisjoint(parsed.tags)
        assert parsed.tags.count("script") == 1
        assert not [link for link in parsed.links if link.startswith("javascript")]
        assert "\u202e" not in page.text
    assert "&lt;script&gt;" in get(served, f"/sft/{a_conversation(7).conversation_id}").text


def test_pages_allow_nothing_but_their_own_files(served: BrowseServer) -> None:
    policy = get(served, "/").headers["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/nothing", "/sft/0000", "/sft?colour=red", "/sft?least=much", "/../manifest.json", "/%2e%2e/manifest.json"])
def test_what_is_not_there_says_so(served: BrowseServer, path: str) -> None:
    page = get(served, path)

    assert page.status_code == 404
    assert 'role="alert"' in page.text


def test_another_host_name_is_refused(served: BrowseServer) -> None:
    assert get(served, "/", Host="evil.example:80").status_code == 421
    assert get(served, "/", Host="localhost:1").status_code == 200


def test_nothing_can_be_written(served: BrowseServer) -> None:
    assert httpx.post(served.url).status_code == 501


def test_the_server_listens_on_loopback_alone(served: BrowseServer) -> None:
    assert served.server_address[0] == "127.0.0.1"
