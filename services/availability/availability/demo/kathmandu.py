"""Physiotherapy in Kathmandu: open all week, groups of six in the hall."""

from availability.demo.practice import EVERY_DAY, Practice, named, week
from availability.domain.resources import Mode
from availability.use_cases.appointment_types import NewAppointmentType
from availability.use_cases.locations import NewLocation, NewRoom
from availability.use_cases.providers import NewProvider


def shrestha() -> Practice:
    zone, name = "Asia/Kathmandu", "shrestha"
    house = named(f"{name}/house")
    hall = named(f"{name}/hall")
    group = named(f"{name}/group")
    return Practice(
        provider=NewProvider(
            id=named(name),
            name="Sunita Shrestha, PT",
            email="sunita.shrestha@example.org",
            language="ne",
            timezone=zone,
            parallel_sessions=6,
        ),
        locations=[
            (
                NewLocation(
                    id=house,
                    name="Patan movement house",
                    address="Mangal Bazaar",
                    city="Lalitpur",
                    country="NP",
                    timezone=zone,
                    latitude=27.6736,
                    longitude=85.3250,
                ),
                [
                    NewRoom(id=hall, name="Hall", capacity=6),
                    NewRoom(id=named(f"{name}/table"), name="Treatment room"),
                ],
            )
        ],
        services=[
            NewAppointmentType(
                id=group,
                slug="back-group",
                name="Back exercise group",
                mode=Mode.IN_PERSON,
                duration_minutes=60,
                price_cents=150000,
                currency="NPR",
                max_future_days=45,
                default_room_id=hall,
            ),
            NewAppointmentType(
                id=named(f"{name}/treatment"),
                slug="manual-therapy",
                name="Manual therapy",
                mode=Mode.IN_PERSON,
                duration_minutes=45,
                buffer_after_minutes=15,
                price_cents=300000,
                currency="NPR",
                default_room_id=named(f"{name}/table"),
            ),
            NewAppointmentType(
                id=named(f"{name}/video coaching"),
                slug="video-coaching",
                name="Video coaching",
                mode=Mode.VIDEO,
                duration_minutes=30,
                price_cents=120000,
                currency="NPR",
            ),
        ],
        rules=[
            *week(name, "day", zone, EVERY_DAY, "06:30", "19:30", coffee="12:00"),
            *week(
                name,
                "groups",
                zone,
                EVERY_DAY,
                "07:00",
                "19:00",
                every=60,
                service=group,
                priority=1,
            ),
        ],
    )
