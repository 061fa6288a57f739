"""The log file of a data folder: what Prefect, Dask and Python's warnings say goes there, not to the terminal.

So does whatever a child process or a C library writes to the standard streams (Ctrl-C at a terminal reaches Dask's workers, too, and each prints a
traceback): only this program's own `sys.stdout` and `sys.stderr` still lead where they led.
"""

import json
import logging
import logging.handlers
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from schemas.errors import StorageError

_BYTES, _KEPT = 8_000_000, 3
_FORMAT = "%(asctime)s %(process)d %(levelname)-7s %(name)s: %(message)s"


@dataclass
class Log:
    """Where this process logs to."""

    path: Path | None = None


LOG = Log()


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, process, message, whatever was given as `extra`, and the error where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        more = {name: value for name, value in record.__dict__.items() if name not in _USUAL and name not in told}
        if record.exc_info:
            more["error"] = self.formatException(record.exc_info)
        return json.dumps(told | more, ensure_ascii=False, default=str)


_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@contextmanager
def log_to(data: Path, form: str = "text") -> Iterator[Path]:
    """Send all logging to `<data>/logs/gristmill.log` and none to the terminal; as lines of text, or (`json`) of JSON.

    Opened before `import prefect`: Prefect puts its terminal handler on the root logger only where there is none yet.
    """
    path = data / "logs" / "gristmill.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"can't write to {path.parent}: {error.strerror or error}; name another data folder with --data or GRISTMILL_DATA") from error
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_FORMAT))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    # Prefect's and our own loggers say more; a line for every HTTP request and Dask key would bury it.
    root.setLevel(logging.WARNING)
    logging.getLogger("gristmill").setLevel(logging.INFO)
    LOG.path = path
    # That a line could not be logged (the disk is full, Prefect's server is gone) is no news for the terminal.
    raises, logging.raiseExceptions = logging.raiseExceptions, False
    # The process that Python keeps for multiprocessing prints this one when Dask's workers were killed; it knows of no log file.
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker:UserWarning")))
    with warnings.catch_warnings(), _streams_to_ourselves(path):
        logging.captureWarnings(True)
        try:
            yield path
        finally:
            logging.captureWarnings(False)
            root.removeHandler(handler)
            root.setLevel(level)
            handler.close()
            logging.raiseExceptions = raises


@contextmanager
def _streams_to_ourselves(path: Path) -> Iterator[None]:
    """Give descriptors 1 and 2, which children inherit, to the log file, and keep the real ones for `sys.stdout` and `sys.stderr`."""
    plain = sys.stdout, sys.stderr
    for stream in plain:
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with path.open("ab") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
    sys.stdout, sys.stderr = (_like(stream, handle) for stream, handle in zip(plain, kept, strict=True))
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = plain
        for number, handle in zip((1, 2), kept, strict=True):
            os.dup2(handle, number)
            os.close(handle)


def _like(stream: TextIO, handle: int) -> TextIO:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return open(handle, "w", buffering=1, encoding=encoding, errors="replace", closefd=False)


def log_defect(error: BaseException) -> None:
    """Write a traceback to the end of the log file, if one was opened."""
    if LOG.path is None:
        return
    import traceback

    with LOG.path.open("a", encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(error)))
