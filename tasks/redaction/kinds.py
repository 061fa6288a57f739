"""Each kind of personal data: a pattern finds what looks like one; where the kind has a check digit or reserved values, these decide.

Patterns are polars'. Their digits and word ends are ASCII's: with Unicode's they take two to eleven times as long (phone numbers: 58 µs a text of 1.8 KB in
place of 5).
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from schemas.records import PersonalKind

_EMAIL = r"(?i)[a-z0-9][a-z0-9._%+-]{0,63}@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24}(?-u:\b)"
_RESERVED = re.compile(r"(?i)[@.](?:example\.(?:com|org|net)|[\w-]+\.(?:example|test|invalid|localhost))$")
"""Names that are nobody's (RFC 2606)."""
_PHONE = r"\+[1-9][0-9]{0,2}(?:[ .-]?\([0-9]{1,4}\))?(?:[ .-]?[0-9]{2,4}){2,5}(?-u:\b)|(?:\([0-9]{3}\) ?|(?-u:\b)[0-9]{3}[.-])[0-9]{3}[.-][0-9]{4}(?-u:\b)"
_FICTION = re.compile(r"555\D?01\d\d$")
"""Numbers set aside for fiction in North America."""
_IP = (
    r"(?-u:\b)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?-u:\b)|(?i)(?-u:\b)(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?-u:\b)"
    r"|(?i)(?-u:\b)(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}(?-u:\b)"
)
_CARD = r"(?-u:\b)[3-6][0-9]{3}(?:[ -]?[0-9]{2,6}){2,7}(?-u:\b)"
_IBAN = r"(?-u:\b)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{2,4}){3,8}(?-u:\b)"
_SSN = r"(?-u:\b)[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}(?-u:\b)"
_NOBODYS_SSN = frozenset({"078051120", "219099999"})
"""Printed in advertisements, and void since."""
_KEY = (
    r"(?-u:\b)(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,}"
    r"|sk-[A-Za-z0-9_-]{32,}|(?:sk|rk)_live_[A-Za-z0-9]{24,}|xox[abeprs]-[A-Za-z0-9-]{20,}|AIza[0-9A-Za-z_-]{35}|hf_[A-Za-z0-9]{34,}|nvapi-[A-Za-z0-9_-]{40,}"
    r"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,})"
    r"|-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----[A-Za-z0-9+/=\s:,-]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----"
)
_FEWEST_SIGNS = 10
"""Different ones in a real key: a stand-in such as sk-xxxx… has fewer."""

Real = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Personal:
    """One kind."""

    pattern: str
    real: Real
    """Of what the pattern found, the part from its beginning that is a real one; None if it is none."""


def _whole(is_real: Callable[[str], bool]) -> Real:
    return lambda found: found if is_real(found) else None


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_phone(text: str) -> bool:
    return 8 <= len(_digits(text)) <= 15 and not _FICTION.search(text)


def _is_public(text: str) -> bool:
    try:
        return ipaddress.ip_address(text).is_global
    except ValueError:
        return False


def _is_card(text: str) -> bool:
    return 13 <= len(_digits(text)) <= 19 and _passes_luhn(_digits(text))


def _passes_luhn(digits: str) -> bool:
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value - 9 * (value > 9) for value in doubled) % 10 == 0 and len(set(digits)) > 2


def _iban_in(text: str) -> str | None:
    """Check by ISO 7064 (mod 97-10); what follows an account's number in a sentence may have been caught with it."""
    groups = text.split(" ")
    candidates = (" ".join(groups[:count]) for count in range(1, len(groups) + 1))
    return next((one for one in candidates if _is_iban(one.replace(" ", ""))), None)


def _is_iban(text: str) -> bool:
    return 15 <= len(text) <= 34 and int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97 == 1


def _is_ssn(text: str) -> bool:
    area, group, serial = re.split("[- ]", text)
    never = area in ("000", "666") or area >= "900" or group == "00" or serial == "0000"
    return not never and area + group + serial not in _NOBODYS_SSN


def _is_key(text: str) -> bool:
    return len(set(text)) >= _FEWEST_SIGNS and not text.endswith("EXAMPLE")


PERSONAL: Mapping[PersonalKind, Personal] = MappingProxyType(
    {
        "access_key": Personal(_KEY, _whole(_is_key)),
        "email_address": Personal(_EMAIL, _whole(lambda found: not _RESERVED.search(found))),
        "bank_account": Personal(_IBAN, _iban_in),
        "payment_card": Personal(_CARD, _whole(_is_card)),
        "social_security_number": Personal(_SSN, _whole(_is_ssn)),
        "ip_address": Personal(_IP, _whole(_is_public)),
        "phone_number": Personal(_PHONE, _whole(_is_phone)),
    }
)
"""In the order in which they are looked for, the surest first: what one has taken, no later one sees."""
