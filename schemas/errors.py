"""Every error Gristmill raises on purpose, in one tree, each with the exit code a script sees.

    GristmillError              1
    ├── RecipeError             2   the recipe, or a file that it names, is wrong
    ├── SettingsError           2   GRISTMILL_* or .env is wrong
    ├── EngineError             3   a served model can't do what was asked (see EngineFault for the kinds)
    ├── ContractError           4   data breaks its contract; nothing was published
    │   └── AccountingError     4   rows went missing: in != out + dropped
    ├── StorageError            5   a disk or an object store refused
    │   └── LedgerError         5   the ledger's database refused
    ├── RunBusyError            6   another process works on the same run
    ├── NotFoundError           7   no such run, release or model card
    ├── TrainerError            8   an outside trainer failed
    ├── StoppedError            9   the run stopped itself before it spent more; resumable
    │   ├── BudgetReachedError  9   a cap of the recipe's budget
    │   └── TooManyFailuresError 9  too large a share of the records comes to nothing
    └── RunInterruptedError   130   stopped by Ctrl-C or a signal; resumable

A message says what is wrong, with the value, and what to do about it.
"""

from enum import StrEnum


class GristmillError(Exception):
    """The root: anything that should reach a user as one clear message, without a traceback."""

    exit_code = 1


class RecipeError(GristmillError):
    """The recipe, an option in it, or a seed file that it names is wrong."""

    exit_code = 2


class SettingsError(GristmillError):
    """A setting from the environment or `.env` is wrong or missing."""

    exit_code = 2


class EngineFault(StrEnum):
    """What went wrong at an engine; the retry policy is a table over these."""

    UNREACHABLE = "unreachable"
    """Refused, reset, or no such host."""
    OVERLOADED = "overloaded"
    """The server's queue is full (UNAVAILABLE 'exceeds maximum queue size', RESOURCE_EXHAUSTED, HTTP 429 or 503)."""
    DEADLINE = "deadline"
    """No answer in time."""
    UNHEALTHY = "unhealthy"
    """The server answers, the model behind it does not (a dead Python stub, INTERNAL, HTTP 5xx)."""
    CANCELLED = "cancelled"
    """The server gave the call up, for example while shutting down."""
    GARBLED = "garbled"
    """An answer that breaks the wire contract: not UTF-8, a tensor missing, a million characters. Given again and again, it is this request's fate."""
    UNGRADED = "ungraded"
    """A reward model gave no finite number for a conversation: NaN or infinity. That is this conversation's fate, not the engine's."""
    REFUSED = "refused"
    """TLS or authentication failed."""
    UNKNOWN_MODEL = "unknown_model"
    """The server doesn't have the model."""
    BAD_REQUEST = "bad_request"
    """The server calls this request invalid; asking again can't help."""
    UNSUPPORTED = "unsupported"
    """This engine's dialect can't say what was asked for; met when a run is planned."""

    @property
    def passing(self) -> bool:
        """Whether asking again may help."""
        return self in _PASSING

    @property
    def drop_reason(self) -> str | None:
        """Why a record is dropped whose call ends so for good; None where that says nothing of the record, and the run stops."""
        return _RECORDS_OWN.get(self)


_RECORDS_OWN = {EngineFault.BAD_REQUEST: "engine_refused", EngineFault.UNGRADED: "reward_not_finite", EngineFault.GARBLED: "garbled_answer"}
_PASSING = frozenset(
    {
        EngineFault.UNREACHABLE,
        EngineFault.OVERLOADED,
        EngineFault.DEADLINE,
        EngineFault.UNHEALTHY,
        EngineFault.CANCELLED,
        EngineFault.GARBLED,
    }
)


class EngineError(GristmillError):
    """A call to a served model failed; `fault` says how, `retry_after_s` what the server asked for, if it did."""

    exit_code = 3

    def __init__(self, message: str, *, fault: EngineFault, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the keyword-only fields when the error crosses a process boundary (Dask pickles it)."""
        return (_rebuild_engine_error, (str(self), self.fault, self.retry_after_s))


def _rebuild_engine_error(message: str, fault: EngineFault, retry_after_s: float | None) -> EngineError:
    return EngineError(message, fault=fault, retry_after_s=retry_after_s)


class ContractError(GristmillError):
    """Data breaks its contract; nothing was published."""

    exit_code = 4


class AccountingError(ContractError):
    """Rows went missing or appeared from nowhere: a defect of ours, never of the user."""


class StorageError(GristmillError):
    """A file system or an object store refused to read or write."""

    exit_code = 5


class LedgerError(StorageError):
    """The ledger's database can't be reached, or is of a newer version."""


class RunBusyError(GristmillError):
    """Another living process works on the same run."""

    exit_code = 6


class NotFoundError(GristmillError):
    """No run, release or model card of that name."""

    exit_code = 7


class TrainerError(GristmillError):
    """An outside trainer failed, or handed back what can't be read."""

    exit_code = 8


class StoppedError(GristmillError):
    """The run stopped itself before it spent more: a cap of its budget, or too many failures; everything finished is kept and the run can be resumed."""

    exit_code = 9


class BudgetReachedError(StoppedError):
    """A cap of the recipe's budget is reached."""


class TooManyFailuresError(StoppedError):
    """Too large a share of the records comes to nothing."""


class RunInterruptedError(GristmillError):
    """The run was stopped on purpose; everything finished is kept and the run can be resumed."""

    exit_code = 130
