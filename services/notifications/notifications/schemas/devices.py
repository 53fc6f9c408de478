"""Devices for push messages."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator

from shared.fields import Answer, Body, Text, wrong


def _token(text: str) -> str:
    if not text.isascii() or not text.isprintable() or " " in text:
        raise wrong("NOT_A_TOKEN", "Use the token of the device's push service, unchanged.")
    return text


class DeviceIn(Body):
    token: Annotated[str, Text(1000, least=16), AfterValidator(_token)]
    """The registration token that Firebase gave the app."""
    platform: Literal["android", "ios", "web"]


class DeviceOut(Answer):
    id: UUID
    platform: str
