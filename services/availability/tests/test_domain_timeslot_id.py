"""Timeslot ids: the same for the same timeslot, and readable only for whom they were made."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from availability.domain.resources import Mode
from availability.domain.timeslot_id import (
    NamedTimeslot,
    UnknownTimeslotId,
    id_prefix,
    id_suffix,
    read_timeslot_id,
    timeslot_id,
)

from .oracle import cases

PROVIDER = UUID("01890000-0000-7000-8000-000000000001")
SERVICE = UUID("01890000-0000-7000-8000-000000000002")
LOCATION = UUID("01890000-0000-7000-8000-000000000003")
START = 29_700_000
ID = timeslot_id(PROVIDER, SERVICE, LOCATION, Mode.VIDEO, START)

RAW = urlsafe_b64decode(ID)


def read(text: str, provider_id: UUID = PROVIDER, service_id: UUID = SERVICE) -> NamedTimeslot:
    return read_timeslot_id(text, provider_id=provider_id, service_id=service_id)


def test_an_id_never_changes() -> None:
    assert ID == "AYkAAAAAcACAAAAAAAAAAwHX4G24fZi-AAABxS-g"


@cases(60)
@given(
    st.uuids(), st.uuids(), st.uuids() | st.none(), st.sampled_from(Mode), st.integers(0, 1 << 31)
)
def test_an_id_names_location_mode_and_start(
    provider: UUID, service: UUID, location: UUID | None, mode: Mode, start: int
) -> None:
    text = timeslot_id(provider, service, location, mode, start)

    assert text == id_prefix(provider, service, location, mode) + id_suffix(start)
    assert read(text, provider, service) == (location, mode, start)


def test_an_id_of_another_provider_or_service_is_refused() -> None:
    with pytest.raises(UnknownTimeslotId):
        read(ID, provider_id=SERVICE)
    with pytest.raises(UnknownTimeslotId):
        read(ID, service_id=PROVIDER)
    with pytest.raises(UnknownTimeslotId):
        read(ID, provider_id=SERVICE, service_id=PROVIDER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ID[:-1],
        ID + "A",
        ID + "\n",
        ID + "=",
        f" {ID[1:]}",
        ID.replace("-", "+"),
        f"{ID[:-1]}é",
        f"{ID[:-1]}\x00",
        f"{ID[:-1]}\ud800",
        f"{ID[:-1]}٣",
        id_prefix(PROVIDER, SERVICE, LOCATION, Mode.VIDEO) + "________",
        urlsafe_b64encode(RAW[:16] + b"\3" + RAW[17:]).decode(),
    ],
)
def test_what_is_not_an_id_is_refused(text: str) -> None:
    with pytest.raises(UnknownTimeslotId):
        read(text)


@cases(60)
@given(st.text(max_size=60) | st.text("AZaz09-_", min_size=40, max_size=40))
def test_text_that_nobody_made_an_id_of_is_refused(text: str) -> None:
    with pytest.raises(UnknownTimeslotId):
        read(text)


@cases(60)
@given(st.integers(0, 39), st.sampled_from("AQgw-_09az"))
def test_no_two_texts_are_the_same_id(position: int, letter: str) -> None:
    changed = ID[:position] + letter + ID[position + 1 :]

    try:
        named = read(changed)
    except UnknownTimeslotId:
        return
    assert timeslot_id(PROVIDER, SERVICE, *named) == changed
