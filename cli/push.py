"""`gristmill push`: a release, or an export of one, on the Hugging Face Hub."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import err, out
from cli.releases import Data

if TYPE_CHECKING:
    from tasks.release.pushing import Push


def push(
    release: Annotated[
        str, typer.Argument(metavar="RELEASE", help="name, name/version, or a folder: a release's, or one that `export` made.", show_default=False)
    ],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The data set's name on the Hub.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Send it. Without this, only say what would be sent.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Where the repository is new, make it public.")] = False,
    data: Data = None,
) -> None:
    """Put a release, or an export of one, on the Hugging Face Hub: data card, NOTICE and every split in one commit, tagged with the version.

    It is verified first, whole. The token is read from HF_TOKEN, as the Hub's own tools read it.

    Example: [bold]gristmill push rehearsal/v1 my-team/rehearsal --yes[/bold]

    In a trainer's form: [bold]gristmill push exports/dpo my-team/rehearsal-dpo --yes[/bold]
    """
    from infra.settings import read_settings
    from tasks.release.pushing import find_pushable, plan_push
    from tasks.release.pushing import push as send

    planned = plan_push(find_pushable(read_settings(data=data).data, release), repository, public=public)
    _show(planned)
    if not yes:
        out().print("Nothing was sent. Add --yes to send it.")
        return
    with err().status(f"sending to {repository}"):
        address = send(planned)
    out().print(f"[green]sent[/green]  {address}", soft_wrap=True)


def _show(planned: "Push") -> None:
    manifest = planned.manifest
    mark = "  [bold yellow]REHEARSAL[/bold yellow]" if manifest["rehearsal"] else ""
    seen = "public" if planned.public else "private"
    out().print(f"[bold]{planned.title}[/bold]{mark} to {planned.repository}, {seen} where it is new, tagged {planned.tag}")
    out().print(f"{len(planned.files)} files, {planned.size / 2**20:,.1f} MiB, {sum(manifest['rows'].values()):,} rows")
    for line in manifest["obligations"]["display"]:
        out().print(line, style="yellow", markup=False)
