"""One adapter per wire protocol, behind schemas.engine.Engine; and the session that keeps the engines full.

An adapter is a module here, named as `Address.wire` names it, with `open_engine(address, card, settings)`.
"""

import os
from importlib import import_module
from typing import cast

from infra.settings import Address, Settings
from schemas.engine import Engine
from schemas.errors import SettingsError
from schemas.model_card import ModelCard


def open_engine(address: Address, card: ModelCard, settings: Settings) -> Engine:
    """Open the adapter for an address. It connects at its first use, which must be inside the event loop that it then belongs to."""
    # gRPC's core writes to standard error by itself, into the midst of the live display; what matters of it reaches us as errors. Read when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        adapter = import_module(f"{__name__}.{address.wire}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{address.wire}":
            raise
        raise SettingsError(f"no adapter for the wire {address.wire!r}: there must be a module of that name in infra/engines/") from error
    return cast(Engine, adapter.open_engine(address, card, settings))
