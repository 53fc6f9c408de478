"""A route with an input that has no bounds is a mistake that is found when the route is made."""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Header
from pydantic import BaseModel, Field

from shared.app import new_router
from shared.fields import Answer, Body, Count, FromQuery, Instant, LocalTime, Name, Query
from shared.fields.bounds import UnboundedInput


def route(**annotations: Any) -> Callable[..., Any]:
    """An endpoint with these parameters."""
    parameters = ", ".join(f"{name}: annotations[{name!r}]" for name in annotations)
    namespace: dict[str, Any] = {"annotations": annotations}
    exec(f"async def endpoint({parameters}) -> None: ...", namespace)
    made: Callable[..., Any] = namespace["endpoint"]
    return made


class Inner(Body):
    text: str


class Lax(BaseModel):
    name: Name


class Tree(Body):
    name: Name
    branches: list["Tree"] = Field(default_factory=list, max_length=5)


def body_with(annotation: Any) -> type[Body]:
    return type("Made", (Body,), {"__annotations__": {"field": annotation}})


def query_with(annotation: Any) -> type[Query]:
    return type("Made", (Query,), {"__annotations__": {"field": annotation}})


UNBOUNDED = [str, str | None, int, float, Decimal, bytes, datetime, date, UUID, Any, object,
             list[Name], dict[str, Count], tuple[Count, ...], Inner, Lax,
             Annotated[int, Field(ge=0)], Annotated[str, Field(pattern="a+")]]  # fmt: skip


@pytest.mark.parametrize("annotation", UNBOUNDED, ids=str)
def test_a_body_needs_bounds_everywhere(annotation: Any) -> None:
    with pytest.raises(UnboundedInput, match="field"):
        new_router().post("/x")(route(body=body_with(annotation)))


@pytest.mark.parametrize("annotation", [str, int, bool, datetime, date, UUID, list[Name]], ids=str)
def test_a_query_string_needs_bounds_everywhere(annotation: Any) -> None:
    with pytest.raises(UnboundedInput, match="field"):
        new_router().get("/x")(route(wanted=FromQuery[query_with(annotation)]))


@pytest.mark.parametrize("annotation", [str, int, bool, datetime, UUID], ids=str)
def test_single_parameters_need_bounds(annotation: Any) -> None:
    with pytest.raises(UnboundedInput, match="thing"):
        new_router().get("/x/{thing}")(route(thing=annotation))
    with pytest.raises(UnboundedInput, match="thing"):
        new_router().get("/x")(route(thing=annotation))
    with pytest.raises(UnboundedInput, match="thing"):
        new_router().get("/x")(route(thing=Annotated[annotation, Header()]))


def test_a_body_extends_body() -> None:
    with pytest.raises(UnboundedInput, match="does not extend Body"):
        new_router().post("/x")(route(body=Lax))


def test_what_has_bounds_is_let_in() -> None:
    router = new_router()

    router.post("/tree")(route(body=Tree))
    router.post("/names")(route(body=body_with(Annotated[dict[Name, Name], Field(max_length=5)])))
    router.get("/x/{n}")(route(n=Count, name=Name, token=Annotated[Name | None, Header()]))

    assert len(router.routes) == 3


@pytest.mark.parametrize("annotation", [datetime, list[datetime], datetime | None], ids=str)
def test_an_answer_writes_instants_in_our_format_only(annotation: Any) -> None:
    answer = type("Made", (Answer,), {"__annotations__": {"at": annotation}})

    with pytest.raises(TypeError, match="use Instant"):
        new_router().get("/x", response_model=answer)(route())


def test_an_answer_may_have_unbounded_text() -> None:
    annotations = {"at": Instant, "opens": LocalTime | None, "text": str, "ids": list[UUID]}
    answer = type("Made", (Answer,), {"__annotations__": annotations})

    new_router().get("/x", response_model=answer)(route())
