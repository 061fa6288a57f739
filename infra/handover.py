"""Live journals, handed over to an object store every now and then, so that a host that is lost takes little with it.

A journal is appended to, which no object is: it lives on its host's disk, and a finished shard's is handed to the call store. Where that is on an object store,
so are the calls of journals still open, every WINDOW_S: what a killed host had paid for before then, another host that goes on with the run finds there.
On a file system there is nothing to do: whoever sees the call store sees the journals.
"""

import logging
import os
import threading
import weakref

from infra.calls import CallStore
from infra.journal import Journal
from infra.shared import SharedPath
from schemas.errors import StorageError

WINDOW_S = 30.0
"""A lost host costs at most the calls of its unfinished shards of so many seconds, and of the upload then under way."""

_log = logging.getLogger(__name__)


def share_live(journal: Journal, store: CallStore) -> None:
    """Hand a journal's calls over every WINDOW_S, until it is closed, where the store is shared between hosts."""
    if isinstance(store.root, SharedPath):
        _keeper.watch(journal, store)


def hand_over_live(journal: Journal, store: CallStore) -> int:
    """Put what a journal holds so far into the store, in place of what was put there of it before; gives the number of calls."""
    entries = list(journal.entries())
    store.add(entries, f"{journal.path.parent.name}-{journal.path.stem}.live")
    return len(entries)


class _Keeper:
    """The one thread of this process that hands over."""

    def __init__(self) -> None:
        self._watched: weakref.WeakKeyDictionary[Journal, tuple[CallStore, int]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, journal: Journal, store: CallStore) -> None:
        with self._lock:
            self._watched[journal] = (store, len(journal))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal-handover", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        pause = threading.Event()
        while not pause.wait(WINDOW_S):
            with self._lock:
                watched = [(journal, *told) for journal, told in self._watched.items()]
            for journal, store, had in watched:
                self._look(journal, store, had)

    def _look(self, journal: Journal, store: CallStore, had: int) -> None:
        if journal.closed:
            with self._lock:
                self._watched.pop(journal, None)
        elif len(journal) > had:
            try:
                now = hand_over_live(journal, store)
            except (StorageError, OSError) as error:
                # The shard itself will be told by its own next use of the store; its calls are safe on this disk.
                _log.warning("the calls of %s could not be handed over: %s", journal.path, error)
                return
            with self._lock:
                self._watched[journal] = (store, now)


_keeper = _Keeper()


def _start_anew() -> None:
    """Forget the parent's thread, which a fork doesn't take along."""
    global _keeper
    _keeper = _Keeper()


os.register_at_fork(after_in_child=_start_anew)
