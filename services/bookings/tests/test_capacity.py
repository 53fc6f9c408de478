"""What an appointment needs, and which free units it takes."""

from uuid import UUID, uuid4

from bookings.domain.capacity import Need, Unit, choose_units, expired_rivals, needs_of

PLACE, ELSEWHERE = uuid4(), uuid4()


def unit(number: int, kind: str = "staff", **changes: object) -> Unit:
    values = {"label": kind, "location_id": None, "room_id": None} | changes
    return Unit(UUID(int=number), kind, **values)  # type: ignore[arg-type]


def needs(units: list[Unit], mode: str = "in_person", **changes: object) -> list[str]:
    values = {"location_id": PLACE, "room_id": None, "equipment": []} | changes
    return [need.kind for need in needs_of(mode=mode, units=units, **values)]  # type: ignore[arg-type]


def test_a_room_is_needed_in_person_where_the_location_has_any() -> None:
    assert needs([unit(1), unit(2, "room", location_id=PLACE)]) == ["staff", "room"]
    assert needs([unit(1), unit(2, "room", location_id=ELSEWHERE)]) == ["staff"]
    assert needs([unit(1), unit(2, "room", location_id=PLACE)], mode="video") == ["staff"]


def test_a_telehealth_slot_is_needed_for_video_where_there_are_some() -> None:
    assert needs([unit(1)], mode="video") == ["staff"]
    assert needs([unit(1), unit(2, "telehealth_slot")], mode="video") == [
        "staff",
        "telehealth_slot",
    ]
    assert needs([unit(1), unit(2, "telehealth_slot")], mode="phone") == ["staff"]


def test_a_fixed_room_is_needed_even_when_nobody_knows_it() -> None:
    assert needs([unit(1)], room_id=uuid4()) == ["staff", "room"]


def test_the_first_free_unit_of_each_kind_is_taken_in_the_order_of_ids() -> None:
    units = [unit(3, "room"), unit(2), unit(1, taken_by=(uuid4(),))]

    chosen = choose_units([Need("room"), Need("staff")], units)

    assert chosen is not None
    assert [each.id.int for each in chosen] == [2, 3]


def test_it_is_all_or_nothing() -> None:
    assert choose_units([Need("staff"), Need("room")], [unit(1)]) is None


def test_one_unit_serves_one_need_only() -> None:
    need = Need("equipment", label="laser")

    assert choose_units([need, need], [unit(1, "equipment", label="laser")]) is None


def test_equipment_of_another_label_or_place_does_not_do() -> None:
    laser = unit(1, "equipment", label="laser", location_id=ELSEWHERE)

    assert choose_units([Need("equipment", label="laser", location_id=PLACE)], [laser]) is None
    assert choose_units([Need("equipment", label="ultrasound")], [laser]) is None
    assert choose_units([Need("equipment", label="laser")], [laser]) == [laser]


def test_only_units_that_nothing_else_blocks_are_worth_clearing() -> None:
    over, alive = uuid4(), uuid4()
    units = [
        unit(1, taken_by=(over,), only_expired=True),
        unit(2, taken_by=(over, alive)),
        unit(3, "room", taken_by=(uuid4(),), only_expired=True),
    ]

    assert expired_rivals([Need("staff")], units) == {over}
