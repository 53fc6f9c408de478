"""How to reach a person."""

import re
from collections.abc import Callable
from typing import Annotated, Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic_core import PydanticCustomError

from shared.fields.parsed import OURS, Parsed, wrong

_LONGEST_EMAIL = 254
_LONGEST_PHONE = 32
_PHONE = r"\+[0-9 ().-]{6,31}"
_PHONE_TEXT = re.compile(_PHONE)


def email_fault(address: str) -> tuple[str, str] | None:
    """Code and message of what is wrong with an address that was kept earlier, by today's rules."""
    return _fault(_email, address)


def phone_fault(number: str) -> tuple[str, str] | None:
    """Likewise of a phone number."""
    return _fault(_phone, number)


def _fault(parse: Callable[[Any], str], kept: str) -> tuple[str, str] | None:
    try:
        parse(kept)
    except PydanticCustomError as refusal:
        return refusal.type.removeprefix(OURS), refusal.message()
    return None


def _email(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_EMAIL:
        raise wrong("NOT_AN_EMAIL", "Write an e-mail address such as anna@example.com.")
    try:
        address = validate_email(value, check_deliverability=False, strict=True).normalized
    except (EmailNotValidError, UnicodeError):
        raise wrong("NOT_AN_EMAIL", "Write an e-mail address such as anna@example.com.") from None
    return address


def _phone(value: Any) -> str:
    if not isinstance(value, str) or not _PHONE_TEXT.fullmatch(value):
        raise wrong("NOT_A_PHONE", "Write a phone number with its country: +30 210 1234567.")
    try:
        number = phonenumbers.parse(value, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise wrong("NO_SUCH_PHONE", "There is no such phone number.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


Email = Annotated[
    str,
    Parsed(
        _email,
        {
            "type": "string",
            "format": "email",
            "maxLength": _LONGEST_EMAIL,
            "examples": ["anna@example.com"],
        },
    ),
]
"""An address with its domain in lower case; whether it receives mail is not asked."""

Phone = Annotated[
    str,
    Parsed(
        _phone,
        {
            "type": "string",
            "format": "phone",
            "pattern": f"^{_PHONE}$",
            "maxLength": _LONGEST_PHONE,
            "examples": ["+302101234567"],
        },
    ),
]
"""An international number, kept as E.164: ``+302101234567``."""
