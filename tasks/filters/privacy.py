"""Answers with what may lead to a person: each kind a filter of its own, so that a recipe says which ones it minds.

A pattern finds what looks like one; where the kind has a check digit or reserved values, these decide. The patterns' digits and word
ends are ASCII's: with Unicode's they take two to eleven times as long (phone numbers: 58 µs a text of 1.8 KB in place of 5).
"""

import ipaddress
import re
from collections.abc import Callable

import polars as pl

_EMAIL = r"(?i)[a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}(?-u:\b)"
_RESERVED = re.compile(r"(?i)[@.](?:example\.(?:com|org|net)|[\w-]+\.(?:example|test|invalid|localhost))$")
"""Names that are nobody's (RFC 2606)."""
_PHONE = r"\+[1-9][0-9]{0,2}(?:[ .-]?\([0-9]{1,4}\))?(?:[ .-]?[0-9]{2,4}){2,5}(?-u:\b)|(?:\([0-9]{3}\) ?|(?-u:\b)[0-9]{3}[.-])[0-9]{3}[.-][0-9]{4}(?-u:\b)"
_FICTION = re.compile(r"555\D?01\d\d$")
"""Numbers set aside for fiction in North America."""
_IP = r"(?-u:\b)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?-u:\b)|(?i)(?-u:\b)(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?-u:\b)"
_CARD = r"(?-u:\b)[3-6][0-9]{3}(?:[ -]?[0-9]{2,6}){2,7}(?-u:\b)"
_IBAN = r"(?-u:\b)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{2,4}){3,8}(?-u:\b)"


def email_address(batch: pl.DataFrame) -> pl.Series:
    """The answer has an e-mail address, but for those under example.com and the like."""
    return _any_real(batch, _EMAIL, lambda found: not _RESERVED.search(found))


def phone_number(batch: pl.DataFrame) -> pl.Series:
    """The answer has a telephone number, written with its country code or as in North America; 555-01xx is nobody's."""
    return _any_real(batch, _PHONE, lambda found: 8 <= len(_digits(found)) <= 15 and not _FICTION.search(found))


def ip_address(batch: pl.DataFrame) -> pl.Series:
    """The answer has a public IP address; private, local and documentation ones pass."""
    return _any_real(batch, _IP, _is_public)


def payment_card(batch: pl.DataFrame) -> pl.Series:
    """The answer has a payment card's number, by its check digit (Luhn)."""
    return _any_real(batch, _CARD, lambda found: 13 <= len(_digits(found)) <= 19 and _passes_luhn(_digits(found)))


def bank_account(batch: pl.DataFrame) -> pl.Series:
    """The answer has an international bank account number (IBAN), by its check digits."""
    return _any_real(batch, _IBAN, _is_iban)


def _any_real(batch: pl.DataFrame, pattern: str, is_real: Callable[[str], bool]) -> pl.Series:
    """Look for the pattern in all answers at once, and only then at what was found."""
    found = batch["answer"].str.extract_all(pattern)
    hits = pl.repeat(False, batch.height, dtype=pl.Boolean, eager=True)
    some = (found.list.len() > 0).arg_true()
    return hits.scatter(some, pl.Series([any(map(is_real, one)) for one in found[some].to_list()], dtype=pl.Boolean))


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _passes_luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0 and len(set(digits)) > 2


def _is_iban(text: str) -> bool:
    """Check by ISO 7064 (mod 97-10); what follows an account's number in a sentence may have been caught with it."""
    groups = text.split(" ")
    candidates = ("".join(groups[:count]) for count in range(1, len(groups) + 1))
    return any(15 <= len(one) <= 34 and int("".join(str(int(sign, 36)) for sign in one[4:] + one[:4])) % 97 == 1 for one in candidates)
