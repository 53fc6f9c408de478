"""Dermatology in New York: working days with a long lunch, Saturdays by video."""

from datetime import date

from availability.demo.practice import WORKING_DAYS, Practice, named, one_off, week
from availability.domain.resources import Mode
from availability.domain.schedule import ExceptionKind
from availability.use_cases.appointment_types import NewAppointmentType
from availability.use_cases.locations import NewLocation, NewRoom
from availability.use_cases.providers import NewProvider


def whitfield(today: date) -> Practice:
    zone, name = "America/New_York", "whitfield"
    office = named(f"{name}/office")
    return Practice(
        provider=NewProvider(
            id=named(name),
            name="Dr. Marcus Whitfield",
            email="marcus.whitfield@example.org",
            timezone=zone,
        ),
        locations=[
            (
                NewLocation(
                    id=office,
                    name="Midtown office",
                    address="210 East 39th Street",
                    city="New York",
                    country="US",
                    timezone=zone,
                    latitude=40.7488,
                    longitude=-73.9755,
                ),
                [NewRoom(id=named(f"{name}/room A"), name="Exam room A")],
            )
        ],
        services=[
            NewAppointmentType(
                id=named(f"{name}/skin check"),
                slug="skin-check",
                name="Skin check",
                mode=Mode.IN_PERSON,
                duration_minutes=40,
                buffer_after_minutes=5,
                price_cents=18000,
                currency="USD",
                min_notice_minutes=120,
                max_future_days=120,
                cancellation_fee_cents=5000,
            ),
            NewAppointmentType(
                id=named(f"{name}/second opinion"),
                slug="second-opinion",
                name="Second opinion",
                description="Send your pictures and reports with the request.",
                mode=Mode.VIDEO,
                duration_minutes=30,
                price_cents=15000,
                currency="USD",
                requires_approval=True,
                hold_seconds=300,
                min_notice_minutes=24 * 60,
            ),
            NewAppointmentType(
                id=named(f"{name}/follow-up"),
                slug="follow-up-call",
                name="Follow-up call",
                mode=Mode.PHONE,
                duration_minutes=15,
                price_cents=4000,
                currency="USD",
            ),
        ],
        rules=[
            *week(name, "morning", zone, WORKING_DAYS, "09:00", "12:30", every=20),
            *week(name, "afternoon", zone, WORKING_DAYS, "14:00", "18:00", every=20),
            *week(name, "saturday", zone, (6,), "10:00", "14:00", every=30, mode=Mode.VIDEO),
        ],
        exceptions=[
            one_off(name, zone, today, 16, "09:00", "18:00", ExceptionKind.BLOCKED, "Teaching day")
        ],
    )
