"""`gristmill browse`: page through a release in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from cli.console import out
from cli.releases import Data, Wanted


def browse(
    release: Wanted,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")] = 0,
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the default browser.")] = True,
    data: Data = None,
) -> None:
    """Page through a release: filter by technique, score or drop reason, see chosen beside rejected, follow a row back to its seed.

    Serves read-only pages on this machine alone, until Ctrl-C.

    Example: [bold]gristmill browse rehearsal/v1[/bold]
    """
    from infra.settings import read_settings
    from tasks.browse.serving import BrowseServer
    from tasks.release.publish import find_release

    folder: Path = find_release(read_settings(data=data).data, release)
    with BrowseServer(folder, port) as server:
        out().print(f"Browse {folder.parent.name}/{folder.name} at {server.url}  (Ctrl-C ends it)", markup=False, soft_wrap=True)
        if open_:
            typer.launch(server.url)
        server.serve_forever()
