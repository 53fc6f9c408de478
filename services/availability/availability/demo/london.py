"""Psychology in London: by video and phone only, late hours, short weekends."""

from datetime import date

from availability.demo.practice import WEEKEND, WORKING_DAYS, Practice, named, one_off, week
from availability.domain.resources import Kind, Mode
from availability.domain.schedule import ExceptionKind
from availability.use_cases.appointment_types import NewAppointmentType
from availability.use_cases.providers import NewProvider
from availability.use_cases.resources import NewResource


def okafor(today: date) -> Practice:
    zone, name = "Europe/London", "okafor"
    return Practice(
        provider=NewProvider(
            id=named(name),
            name="Dr. Amara Okafor",
            email="amara.okafor@example.org",
            language="en-GB",
            timezone=zone,
        ),
        locations=[],
        resources=[
            NewResource(id=named(f"{name}/line"), kind=Kind.TELEHEALTH_SLOT, label="Video line")
        ],
        services=[
            NewAppointmentType(
                id=named(f"{name}/session"),
                slug="session",
                name="Psychotherapy session",
                mode=Mode.VIDEO,
                duration_minutes=50,
                buffer_after_minutes=10,
                price_cents=9000,
                currency="GBP",
                min_notice_minutes=60,
                cancellation_free_until_minutes=48 * 60,
                cancellation_fee_percent=100,
            ),
            NewAppointmentType(
                id=named(f"{name}/first call"),
                slug="first-call",
                name="First call",
                description="Fifteen minutes to get to know each other, free of charge.",
                mode=Mode.PHONE,
                duration_minutes=15,
                currency="GBP",
            ),
        ],
        rules=[
            *week(name, "day", zone, WORKING_DAYS, "10:00", "14:00", every=60),
            *week(name, "evening", zone, WORKING_DAYS, "16:00", "21:00", every=60),
            *week(name, "weekend", zone, WEEKEND, "10:00", "13:00", every=60),
        ],
        exceptions=[
            one_off(name, zone, today, 20, "00:00", "23:59", ExceptionKind.BLOCKED, "Day off")
        ],
    )
