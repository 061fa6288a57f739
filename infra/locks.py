"""Locks on files that end with their holder, however it ends, and at once when it lets go.

Closing a file is not letting go. The lock belongs to the open file, and a child process that is being started has it open as well, from its fork until it
executes its program: milliseconds, on a loaded machine many. Whoever took the lock in that time found it held by nobody (seen: a shard's journal, closed and
opened again while Dask's workers were being started). An explicit unlock ends it for all who have the file open.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager


def take(handle: int, *, shared: bool = False, wait: bool = False) -> None:
    """Take the lock of an open file. Raises BlockingIOError if another has it and we are not to wait."""
    fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


def let_go(handle: int) -> None:
    """Give the lock up."""
    fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def held(handle: int, *, shared: bool = False, wait: bool = False) -> Iterator[None]:
    """Have the lock for a block; see `take`."""
    take(handle, shared=shared, wait=wait)
    try:
        yield
    finally:
        let_go(handle)
