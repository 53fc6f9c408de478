"""Text that people write, and the short codes that stand for languages, money and pages."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from shared.fields.parsed import Parsed, wrong

# Controls, line separators, invisible and bidirectional controls (they make text look like other
# text), noncharacters and lone surrogates. Joiners and the plain LRM/RLM marks stay: Arabic,
# Hebrew, Persian and emoji need them. Written as \u escapes because OpenAPI shows the same pattern.
_HOSTILE = (
    r"\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u200B\u2028-\u202E\u2060-\u206F"
    r"\uFDD0-\uFDEF\uFEFF\uFFF9-\uFFFB\uFFFE\uFFFF"
)
_LINE_ENDS = r"\u0009\u000A\u000D"
_SURROGATES = r"\uD800-\uDFFF"
_HOSTILE_IN_LINES = re.compile(f"[{_HOSTILE}{_SURROGATES}]")
_HOSTILE_IN_A_LINE = re.compile(f"[{_HOSTILE}{_LINE_ENDS}{_SURROGATES}]")
_MOST_MARKS = 8
_LAST_MARK = 0x1F000


@dataclass(frozen=True, slots=True)
class Text:
    """``Annotated[str, Text(500)]``: trimmed, NFC, at most 500 characters, not blank, one line.

    ``lines=True`` allows tabs and several lines (their ends become LF); ``least=0`` allows blank.
    """

    most: int
    least: int = 1
    lines: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._clean, core_schema.str_schema(max_length=self.most, strict=True)
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        hostile = _HOSTILE if self.lines else _HOSTILE + _LINE_ENDS
        return {
            "type": "string",
            "minLength": self.least,
            "maxLength": self.most,
            "pattern": f"^[^{hostile}]*$",
        }

    def _clean(self, text: str) -> str:
        if self.lines:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        hostile = _HOSTILE_IN_LINES if self.lines else _HOSTILE_IN_A_LINE
        if hostile.search(text):
            raise wrong("FORBIDDEN_CHARACTER", "Contains a character that cannot be stored.")
        if not text.isascii():
            # Before normalising, whose cost grows with the square of a run of marks.
            if _too_many_marks(text):
                raise wrong("TOO_MANY_MARKS", "Has too many accents on one letter.")
            text = unicodedata.normalize("NFC", text)
        text = text.strip()
        if len(text) < self.least:
            if not text:
                raise wrong("BLANK", "Must not be blank.")
            raise wrong("TOO_SHORT", f"Must have at least {self.least} characters.")
        if len(text) > self.most:  # a few characters become longer by normalising
            raise wrong("TOO_LONG", f"Must have at most {self.most} characters.")
        return text


def _too_many_marks(text: str) -> bool:
    marks = _marks()
    if marks.isdisjoint(text):
        return False
    run = 0
    for character in text:
        run = run + 1 if character in marks else 0
        if run > _MOST_MARKS:
            return True
    return False


@cache
def _marks() -> frozenset[str]:
    """Every character that is drawn onto the one before it."""
    return frozenset(
        chr(code)
        for code in range(_LAST_MARK)
        if unicodedata.category(chr(code)) in ("Mn", "Me", "Mc")
    )


def _matching(
    pattern: str, code: str, message: str, known: frozenset[str] | None = None
) -> Callable[[Any], str]:
    compiled = re.compile(pattern)

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            raise wrong(code, message)
        if known is not None and value not in known:
            raise wrong(code, message)
        return value

    return parse


# ISO 4217, the currencies in use.
_CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD
    CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
    GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD
    KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO
    NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE
    SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND
    VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
    """.split()
)
_LANGUAGE = r"[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?"
_CURRENCY = r"[A-Z]{3}"
_CURSOR = r"[A-Za-z0-9_-]{1,512}"

Name = Annotated[str, Text(100)]
Line = Annotated[str, Text(200)]
Note = Annotated[str, Text(2000, lines=True)]
"""A text of several lines."""

Language = Annotated[
    str,
    Parsed(
        _matching(_LANGUAGE, "NOT_A_LANGUAGE", "Write a language as el or en-GB."),
        {"type": "string", "pattern": f"^{_LANGUAGE}$", "maxLength": 12, "examples": ["el"]},
    ),
]
"""A short BCP 47 tag: language, and optionally script and region."""

Currency = Annotated[
    str,
    Parsed(
        _matching(
            _CURRENCY, "UNKNOWN_CURRENCY", "Write a currency by its ISO code: EUR.", _CURRENCIES
        ),
        {
            "type": "string",
            "format": "iso-4217",
            "pattern": f"^{_CURRENCY}$",
            "minLength": 3,
            "maxLength": 3,
            "examples": ["EUR"],
        },
    ),
]

Cursor = Annotated[
    str,
    Parsed(
        _matching(_CURSOR, "NOT_A_CURSOR", "Use the nextCursor of the page before, unchanged."),
        {"type": "string", "pattern": f"^{_CURSOR}$", "minLength": 1, "maxLength": 512},
    ),
]
"""Where the next page begins; only the service that made it can read it."""
