"""The types of everything that a client may send, each with its limits and its OpenAPI schema.

A body or query field is always one of these, an enum as ``OneOf``, a ``Literal``, another ``Body``
or a list of bounded length; a route that takes anything else does not start.
"""

from shared.fields.contacts import Email, Phone, email_fault, phone_fault
from shared.fields.ids import Id
from shared.fields.models import Answer, Body, FromQuery, OneOf, Query
from shared.fields.numbers import (
    Cents,
    Count,
    Flag,
    Latitude,
    Limit,
    Longitude,
    Minutes,
    Weekday,
    Whole,
)
from shared.fields.parsed import wrong
from shared.fields.text import Currency, Cursor, Language, Line, Name, Note, Text
from shared.fields.times import Instant, LocalDate, LocalTime, ZoneId, instant_text

__all__ = [
    "Answer",
    "Body",
    "Cents",
    "Count",
    "Currency",
    "Cursor",
    "Email",
    "Flag",
    "FromQuery",
    "Id",
    "Instant",
    "Language",
    "Latitude",
    "Limit",
    "Line",
    "LocalDate",
    "LocalTime",
    "Longitude",
    "Minutes",
    "Name",
    "Note",
    "OneOf",
    "Phone",
    "Query",
    "Text",
    "Weekday",
    "Whole",
    "ZoneId",
    "email_fault",
    "instant_text",
    "phone_fault",
    "wrong",
]
