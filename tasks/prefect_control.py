"""What Prefect has to say in a run's matters: pause it, give it its turn at an engine, and know it again when it is started a second time."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run

from infra.ledger import Ledger
from infra.prefect_deployments import limit_of

_NOTE = "flow_run"


def obey() -> None:
    """Leave the run here if Prefect was asked to pause it; from the flow's own thread. Raises Prefect's own signal.

    Prefect by itself looks where the next task begins. Ours last as long as their shards do, and engines would be asked until then.
    """
    context = FlowRunContext.get()
    request = getattr(context, "flow_run_suspension_request", None)
    if request is not None:
        request.raise_if_requested()


def note_flow_run(ledger: Ledger, run_id: str) -> None:
    """Note which flow run works on a run."""
    ledger.note(run_id, _NOTE, str(flow_run.id or ""))


def is_begun_here(ledger: Ledger, fingerprint: str) -> bool:
    """Say whether the newest run of a recipe was worked on last by this very flow run: retried or resumed in Prefect's UI, which keeps the id, it goes on."""
    newest = ledger.newest_run(fingerprint)
    return newest is not None and bool(flow_run.id) and ledger.notes(newest.run_id).get(_NOTE) == str(flow_run.id)


@contextmanager
def turn_at(card_ids: Iterable[str]) -> Iterator[None]:
    """Hold a slot of each engine's limit, waiting for one; engines without a limit, or with one that is switched off, are free.

    Only runs of a deployment queue up: who starts one by hand means now. What fails is no reason to stop a run, and neither is a lease that
    could not be renewed: the limit spares engines a crowd, it keeps nothing right.
    """
    names = sorted(limit_of(one) for one in card_ids)
    if not names or not deployment.id:
        yield
        return
    with ExitStack() as stack:
        told = get_run_logger()
        told.info("waiting for a turn at %s", ", ".join(names))
        try:
            stack.enter_context(concurrency(names, occupy=1, strict=False, raise_on_lease_renewal_failure=False))
        except Exception as error:
            told.warning("no turn taken, going on without: %s", error)
        told.info("has its turn")
        yield
