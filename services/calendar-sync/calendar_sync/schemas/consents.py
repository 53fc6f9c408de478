"""What clients and providers send about consents."""

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict

from shared.fields import Answer, Body, Id, Query, Text

ConsentKind: TypeAlias = Literal["google", "microsoft"]

Word = Annotated[str, Text(4000, least=0)]


class ConsentIn(Body):
    connection_id: Id | None = None
    """A connection to be mended with a new consent; without one a new connection is made."""


class ConsentOut(Answer):
    authorization_url: str
    """Where the browser goes now, within ten minutes, and from where it comes back by itself."""


class ComeBack(Query):
    """What the provider sends the browser back with; it may say more, which does not matter."""

    model_config = ConfigDict(extra="ignore")

    state: Word = ""
    code: Word = ""
    error: Word = ""
