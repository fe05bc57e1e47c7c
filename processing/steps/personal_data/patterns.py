"""What looks like personal data, and the checks that tell it from what only looks so.

Source: RFC 5321, 4.5.3.1 (sizes of addresses); ISO/IEC 7812-1, annex B (Luhn); ISO 13616-1 (IBAN)
and its registry of lengths; ITU-T E.164 (numbers of telephones).
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_CHARS = 330  # of the longest finding

_EMAIL = r"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
_CARD = r"(?<![\d.,-])(?:[3-6]|2[2-7])\d(?:[ -]?\d){10,17}(?![\d]|[.,]\d)"
_IBAN = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}"
_PHONE = (
    r"(?<![\w+])(?:\+|00)[1-9](?:[ ().\-/]{0,2}\d){7,14}(?!\d)"
    r"|(?<![\w.-])\(\d{3}\) ?\d{3}[-. ]\d{4}(?![\w-])"
    r"|(?<![\w.-])\d{3}[-.]\d{3}[-.]\d{4}(?![\w-])"
    r"|(?<![\w.-])(?<!\d )0\d{1,4}[ /-]\d{2,4}(?:[ /-]?\d){3,7}(?![\w-]| \d)"
)
_ALL = re.compile(
    f"(?P<email>{_EMAIL})|(?P<iban>{_IBAN})|(?P<card>{_CARD})|(?P<phone>{_PHONE})", re.ASCII
)
_DIGITS = re.compile(r"\d")

KINDS = ("email", "phone", "card", "iban")

# Country -> characters of an IBAN.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27,
    "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24,
    "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31,
    "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23,
    "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip


class Finding(NamedTuple):
    """Where something stands in a text, and what it is."""

    kind: str
    start: int
    end: int


def find(text: str, kinds: frozenset[str]) -> Iterator[Finding]:
    """Yield what is found in `text`, in order, without overlaps."""
    at = 0
    while found := _ALL.search(text, at):
        kind = str(found.lastgroup)
        end = _CHECKS[kind](found[0])
        if end and kind in kinds:
            yield Finding(kind, found.start(), found.start() + end)
        at = found.start() + (end or 1)
        if not end and kind == "card":  # the same digits may be the number of a telephone
            at = found.end()


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the one that the others ask for."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def masked(kind: str, value: str) -> str:
    """Return what may be shown of a finding: enough to recognise one's own."""
    if kind == "email":
        name, _, domain = value.partition("@")
        return f"{name[0]}***@***.{domain.rpartition('.')[2]}"
    if kind == "phone":
        return f"{value[:3].rstrip()}***{value[-2:]}"
    compact = value.replace(" ", "").replace("-", "")
    return f"{compact[:2]}***{compact[-4:]}" if kind == "iban" else f"***{compact[-4:]}"


def _card_end(value: str) -> int:
    digits = "".join(_DIGITS.findall(value))
    known = _BRANDS.match(digits) is not None and len(digits) in _LENGTHS
    return len(value) if known and len(set(digits)) > 1 and luhn(digits) else 0


_LENGTHS = (13, 14, 15, 16, 19)
# Visa, Mastercard, American Express, Discover, Diners Club, JCB, UnionPay, Maestro.
_BRANDS = re.compile(
    r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|6(?:011|4[4-9]|5)|3(?:0[0-5]|[689])|35|62"
    r"|50|5[6-8]|6"
)


def _iban_end(value: str) -> int:
    """Return where the IBAN ends in `value`, which may go on; 0: it is none."""
    length = IBAN_LENGTHS.get(value[:2], 0)
    end = taken = 0
    for end, character in enumerate(value, 1):  # noqa: B007 - it is what is asked for
        taken += character != " "
        if taken == length:
            break
    compact = value[:end].replace(" ", "")
    if not length or len(compact) != length:
        return 0
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return end if int(number) % 97 == 1 else 0


def _phone_end(value: str) -> int:
    return len(value) if 8 <= len(_DIGITS.findall(value)) <= 17 else 0


def _always(value: str) -> int:
    return len(value)


_CHECKS: dict[str, Callable[[str], int]] = {
    "email": _always,
    "phone": _phone_end,
    "card": _card_end,
    "iban": _iban_end,
}
