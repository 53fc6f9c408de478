"""The implementation that the benchmark compares with finds the same timeslots as the domain."""

from datetime import date

from hypothesis import given

from availability.domain.resources import place_of
from bench.reference import Taken, Work, timeslots

from .oracle import Clinic, cases
from .test_domain_against_oracle import clinics, found


@cases(400)
@given(clinics())
def test_the_reference_finds_the_same_timeslots(drawn: tuple[Clinic, date, date]) -> None:
    clinic, from_on, to_on = drawn
    work = Work(
        timezone=clinic.timezone,
        offer=clinic.offer,
        place=place_of(clinic.offer, clinic.location_id, clinic.units),
        units=clinic.units,
        rules=clinic.rules,
        exceptions=clinic.exceptions,
        claims=[Taken(each.unit_id, each.start, each.end, each.held) for each in clinic.claims],
        busy=clinic.busy,
        now=clinic.now,
    )

    seen = timeslots(work, from_on, to_on)

    assert [tuple(each) for each in seen] == [
        (each.start, each.status, each.capacity_left, each.room_id)
        for each in found(clinic, from_on, to_on)
    ]
