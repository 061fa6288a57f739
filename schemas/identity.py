"""Content hashes: what makes a record, a call or a run the same one on every machine."""

import hashlib
import json
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> bytes:
    """Encode as JSON with sorted keys, no spaces and no escapes, so that equal values give equal bytes.

    Raises ValueError on NaN and infinity, which have no JSON form.
    """
    return _ENCODER.encode(value).encode()


def content_id(kind: str, value: Any) -> str:
    """Name a value by its content: 32 hex digits (128 bits) of SHA-256 over its kind and canonical JSON."""
    return hashlib.sha256(kind.encode() + b"\x00" + canonical_json(value)).hexdigest()[:32]


def derive_seed(*parts: str | int) -> int:
    """Derive a sampling seed in [0, 2**63) from what the call is, so that a repeated call repeats its answer."""
    return int.from_bytes(hashlib.sha256(canonical_json(list(parts))).digest()[:8], "big") >> 1


def stable_share(*parts: str | int) -> float:
    """Map parts to a number in [0, 1) that never changes: for splits which must survive re-runs and growth."""
    return derive_seed(*parts) / 2**63
