"""The log file of a data folder: what Prefect, Dask and Python's warnings say goes there, not to the terminal."""

import logging
import logging.handlers
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import StorageError

_BYTES, _KEPT = 8_000_000, 3
_FORMAT = "%(asctime)s %(process)d %(levelname)-7s %(name)s: %(message)s"


@dataclass
class Log:
    """Where this process logs to."""

    path: Path | None = None


LOG = Log()


@contextmanager
def log_to(data: Path) -> Iterator[Path]:
    """Send all logging to `<data>/logs/gristmill.log` and none to the terminal.

    Opened before `import prefect`: Prefect puts its terminal handler on the root logger only where there is none yet.
    """
    path = data / "logs" / "gristmill.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"can't write to {path.parent}: {error.strerror or error}; name another data folder with --data or GRISTMILL_DATA") from error
    handler.setFormatter(logging.Formatter(_FORMAT))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    # Prefect's and our own loggers say more; a line for every HTTP request and Dask key would bury it.
    root.setLevel(logging.WARNING)
    logging.getLogger("gristmill").setLevel(logging.INFO)
    LOG.path = path
    # The process that Python keeps for multiprocessing prints this one when Dask's workers were killed; it knows of no log file.
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (os.environ.get("PYTHONWARNINGS"), "ignore:resource_tracker:UserWarning")))
    with warnings.catch_warnings():
        logging.captureWarnings(True)
        try:
            yield path
        finally:
            logging.captureWarnings(False)
            root.removeHandler(handler)
            root.setLevel(level)
            handler.close()


def log_defect(error: BaseException) -> None:
    """Write a traceback to the end of the log file, if one was opened."""
    if LOG.path is None:
        return
    import traceback

    with LOG.path.open("a", encoding="utf-8") as log:
        log.write("".join(traceback.format_exception(error)))
