"""General practice in Athens: open all week from morning to evening."""

from datetime import date

from availability.demo.practice import EVERY_DAY, Practice, named, one_off, week
from availability.domain.resources import Kind, Mode
from availability.domain.schedule import ExceptionKind
from availability.use_cases.appointment_types import NewAppointmentType
from availability.use_cases.locations import NewLocation, NewRoom
from availability.use_cases.providers import NewProvider
from availability.use_cases.resources import NewResource


def papadaki(today: date) -> Practice:
    zone, name = "Europe/Athens", "papadaki"
    kolonaki, piraeus = named(f"{name}/kolonaki"), named(f"{name}/piraeus")
    return Practice(
        provider=NewProvider(
            id=named(name),
            name="Dr. Eleni Papadaki",
            email="eleni.papadaki@example.org",
            language="el",
            timezone=zone,
        ),
        locations=[
            (
                NewLocation(
                    id=kolonaki,
                    name="Kolonaki practice",
                    address="12 Patriarchou Ioakim",
                    city="Athens",
                    country="GR",
                    timezone=zone,
                    latitude=37.9786,
                    longitude=23.7441,
                ),
                [
                    NewRoom(id=named(f"{name}/room 1"), name="Room 1"),
                    NewRoom(id=named(f"{name}/room 2"), name="Room 2"),
                    NewRoom(
                        id=named(f"{name}/video"), name="Video room", capacity=2, is_virtual=True
                    ),
                ],
            ),
            (
                NewLocation(
                    id=piraeus,
                    name="Piraeus practice",
                    address="3 Akti Miaouli",
                    city="Piraeus",
                    country="GR",
                    timezone=zone,
                    latitude=37.9420,
                    longitude=23.6465,
                ),
                [NewRoom(id=named(f"{name}/room P"), name="Room P")],
            ),
        ],
        resources=[
            NewResource(
                id=named(f"{name}/ultrasound"),
                kind=Kind.EQUIPMENT,
                label="ultrasound",
                location_id=kolonaki,
            )
        ],
        services=[
            NewAppointmentType(
                id=named(f"{name}/consultation"),
                slug="consultation",
                name="General consultation",
                description="A first or a follow-up visit in the practice.",
                mode=Mode.IN_PERSON,
                duration_minutes=30,
                price_cents=6000,
                min_notice_minutes=30,
                max_future_days=90,
                cancellation_fee_cents=2000,
                location_ids=[kolonaki],
            ),
            NewAppointmentType(
                id=named(f"{name}/video"),
                slug="video-consultation",
                name="Video consultation",
                mode=Mode.VIDEO,
                duration_minutes=20,
                buffer_after_minutes=10,
                price_cents=4500,
                min_notice_minutes=15,
                cancellation_free_until_minutes=2 * 60,
                cancellation_fee_percent=50,
            ),
            NewAppointmentType(
                id=named(f"{name}/ultrasound scan"),
                slug="ultrasound-scan",
                name="Ultrasound scan",
                description="With the report to take home.",
                mode=Mode.IN_PERSON,
                duration_minutes=45,
                buffer_before_minutes=5,
                buffer_after_minutes=10,
                price_cents=12000,
                min_notice_minutes=24 * 60,
                cancellation_free_until_minutes=48 * 60,
                cancellation_fee_percent=50,
                cancellation_cutoff_minutes=2 * 60,
                required_equipment=["ultrasound"],
                location_ids=[kolonaki],
            ),
            NewAppointmentType(
                id=named(f"{name}/home plan"),
                slug="treatment-plan",
                name="Treatment plan review",
                description="Dr. Papadaki looks at every request herself.",
                mode=Mode.IN_PERSON,
                duration_minutes=60,
                price_cents=15000,
                requires_approval=True,
                hold_seconds=300,
                min_notice_minutes=12 * 60,
                location_ids=[kolonaki, piraeus],
            ),
            NewAppointmentType(
                id=named(f"{name}/phone"),
                slug="phone-call",
                name="Results by phone",
                mode=Mode.PHONE,
                duration_minutes=10,
                max_future_days=30,
            ),
        ],
        rules=[
            *week(name, "morning", zone, EVERY_DAY, "08:00", "14:00", coffee="11:00"),
            *week(name, "afternoon", zone, EVERY_DAY, "15:00", "21:00", every=15),
        ],
        exceptions=[
            one_off(
                name, zone, today, 9, "18:00", "21:00", ExceptionKind.BLOCKED, "Medical congress"
            ),
            one_off(
                name, zone, today, 12, "21:00", "22:30", ExceptionKind.AVAILABLE, "Late opening"
            ),
        ],
    )
