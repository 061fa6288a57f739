"""A published release of sixty prompts, one of them with hostile texts, and its server."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from schemas.records import Message, Scores
from tasks.browse.library import Library
from tasks.browse.serving import BrowseServer
from tasks.release.publish import publish_release
from tests.tasks.release_builders import a_conversation, a_pair, some_inputs

RUN = "document.documentElement.dataset.ran=1"
HOSTILE = f"<script>{RUN}</script><img src=x onerror={RUN}><svg onload={RUN}>\"'><a href='javascript:{RUN}'>\u202e"


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = [replace(a_conversation(number), technique="math" if number % 3 else "open_qa", scores=Scores(number / 10, "weights")) for number in range(60)]
    answers[7] = replace(answers[7], category=HOSTILE, messages=(Message("user", HOSTILE), Message("assistant", HOSTILE)))
    pairs = [a_pair(number) for number in range(60)]
    pairs[7] = replace(pairs[7], chosen=(Message("assistant", HOSTILE),), prompt=(Message("user", HOSTILE),))
    return Path(publish_release(some_inputs(tmp_path_factory.mktemp("data"), prompts=60, sft=answers, pairs=pairs)).path)


@pytest.fixture(scope="session")
def library(release: Path) -> Library:
    return Library(release)


@pytest.fixture(scope="session")
def served(release: Path) -> Iterator[BrowseServer]:
    with BrowseServer(release) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
