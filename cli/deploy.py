"""`gristmill deploy`: what a Prefect server must know of this factory."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import err, out
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from infra.settings import Settings


def deploy(
    at_once: Annotated[
        list[str] | None, typer.Option("--limit", metavar="CARD=RUNS", help="Runs that may use a model at once; may be repeated. Default: 2, or what is set.")
    ] = None,
) -> None:
    """Register work pool, deployments and a limit for each engine on the Prefect server that PREFECT_API_URL names.

    Safe to repeat, and to be repeated after a change of `prefect.yaml`. Limits that were changed in Prefect's UI stay unless --limit says otherwise.

    Example: [bold]gristmill deploy --limit nemotron-4-340b-reward=1[/bold]
    """
    from infra.prefect_deployments import deploy_all, limit_engines, make_pool, read_project, server_url
    from infra.settings import read_settings

    told = dict(_runs_of(one) for one in at_once or ())
    settings, deployments, url = read_settings(), read_project(), server_url()
    recipes = [Path(one["parameters"]["recipe"]) for one in deployments if "recipe" in one["parameters"]]
    cards = {*settings.addresses, *_cards_of(recipes, settings)}
    if strange := sorted(set(told) - cards):
        raise SettingsError(f"--limit: no deployment and no address uses {', '.join(strange)}; the models are {', '.join(sorted(cards))}")
    pools = sorted({one["work_pool"]["name"] for one in deployments})
    for pool in pools:
        out().print(f"work pool   {pool}" + ("  [dim]new[/dim]" if make_pool(pool) else ""))
    with err().status("registering deployments"):
        deploy_all()
    for one in deployments:
        out().print(f"deployment  {one['entrypoint'].rpartition('.')[2]}/{one['name']}")
    for limit in limit_engines(cards, told):
        out().print(f"limit       {limit.name}  [bold]{limit.runs}[/bold] runs at once" + ("  [dim]new[/dim]" if limit.new else ""))
    out().print(f"\nat {url}. A worker runs them: prefect worker start --pool {pools[0]}", soft_wrap=True)


def _runs_of(told: str) -> tuple[str, int]:
    card, _, runs = told.partition("=")
    if not card or not runs.isdecimal() or int(runs) < 1:
        raise SettingsError(f"--limit {told!r} is not of the form CARD=RUNS, for example nemotron-4-340b-reward=1")
    return card, int(runs)


def _cards_of(recipes: list[Path], settings: "Settings") -> set[str]:
    from infra.settings import ROOT
    from tasks.catalogue import load_recipe

    return {card.id for recipe in recipes for card in load_recipe(ROOT / recipe, cards=settings.cards).cards.values()}
