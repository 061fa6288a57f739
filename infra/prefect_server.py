"""The private Prefect API's process: `python -P prefect_server.py FD` serves on an inherited listening socket until its owner goes.

The owner holds the other end of standard input. Whatever ends it (a return, an exception, SIGKILL), the pipe closes and this process leaves; that needs
no prctl, so it holds on every system, and it holds whichever thread of the owner did the starting.
"""

import os
import signal
import socket
import sys
import threading
import time

_GRACE_S = 3.0


def main(handle: int) -> None:
    """Serve Prefect's API on the socket with this file descriptor."""
    threading.Thread(target=_leave_with_owner, daemon=True).start()
    import uvicorn

    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, lifespan="on", log_level="critical", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=handle)])


def _leave_with_owner() -> None:
    # Not through sys.stdin: its buffer's lock, held by a daemon thread, is a fatal error when the interpreter ends.
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
