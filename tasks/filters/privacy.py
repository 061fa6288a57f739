"""Answers with what may lead to a person, or let somebody in: each kind a filter of its own, so that a recipe says which ones it minds.

What each kind is, tasks/redaction/kinds.py says; `redact` in a recipe puts placeholders for them in the place of dropping.
"""

import polars as pl

from schemas.records import PersonalKind
from tasks.redaction.kinds import PERSONAL


def email_address(batch: pl.DataFrame) -> pl.Series:
    """The answer has an e-mail address, but for those under example.com and the like."""
    return _any_real(batch, "email_address")


def phone_number(batch: pl.DataFrame) -> pl.Series:
    """The answer has a telephone number, written with its country code or as in North America; 555-01xx is nobody's."""
    return _any_real(batch, "phone_number")


def ip_address(batch: pl.DataFrame) -> pl.Series:
    """The answer has a public IP address; private, local and documentation ones pass."""
    return _any_real(batch, "ip_address")


def payment_card(batch: pl.DataFrame) -> pl.Series:
    """The answer has a payment card's number, by its check digit (Luhn)."""
    return _any_real(batch, "payment_card")


def bank_account(batch: pl.DataFrame) -> pl.Series:
    """The answer has an international bank account number (IBAN), by its check digits."""
    return _any_real(batch, "bank_account")


def social_security_number(batch: pl.DataFrame) -> pl.Series:
    """The answer has a US social security number, written in its three groups; numbers that are never given out pass."""
    return _any_real(batch, "social_security_number")


def access_key(batch: pl.DataFrame) -> pl.Series:
    """The answer has a key, token or private key by the form that its issuer gives it; stand-ins such as sk-xxxx pass."""
    return _any_real(batch, "access_key")


def _any_real(batch: pl.DataFrame, kind: PersonalKind) -> pl.Series:
    """Look for the pattern in all answers at once, and only then at what was found."""
    found, real = batch["answer"].str.extract_all(PERSONAL[kind].pattern), PERSONAL[kind].real
    hits = pl.repeat(False, batch.height, dtype=pl.Boolean, eager=True)
    some = (found.list.len() > 0).arg_true()
    return hits.scatter(some, pl.Series([any(real(one) is not None for one in each) for each in found[some].to_list()], dtype=pl.Boolean))
