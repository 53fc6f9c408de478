"""Random stories of patients, staff and workers: whatever happens in whatever order, the rows are
what a small model says, and whoever is told that they may do something can do it."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from bookings.domain.lifecycle import TRANSITIONS, Action
from shared.db import Database
from shared.http import AsyncClient
from shared.testing.run import NIGHTLY

from .life_calls import Calls, Stage
from .life_model import NO_TOKEN, Known, Model, Who
from .life_story import ADMIN, Story, has_part
from .stage import As

Method = TypeVar("Method", bound=Callable[..., None])
RUNS, STEPS = (200, 100) if NIGHTLY else (30, 25)

which = st.integers(0, 11)
slots = st.integers(0, 7)
services = st.sampled_from([0, 0, 1, 1, 2])
patients = st.integers(0, 1)
parts = st.sampled_from(["patient", "provider", "admin"] * 2 + ["stranger"])

choices: list[st.SearchStrategy[Any]] = []


def step(**values: st.SearchStrategy[Any]) -> Callable[[Method], Method]:
    """One of the steps that ``Life.next`` takes.

    Were each of them a rule, Hypothesis would leave out many of them in each story, and the few
    short stories of the usual profile would never get far.
    """

    def known(method: Method) -> Method:
        choices.append(st.tuples(st.just(method.__name__), st.fixed_dictionaries(values)))
        return method

    return known


class Life(Story, RuleBasedStateMachine):
    """One story. The model says of each call beforehand what must come of it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.calls = Calls(stage)
        self.model = Model()

    @initialize(start=slots, asked=slots)
    def open(self, start: int, asked: int) -> None:
        """An appointment and a request are there from the beginning."""
        self.rows = self.stage.now(self.calls.set_up())
        self.book(0, 0, start)
        self.book(1, 1, asked)

    @rule(call=st.deferred(lambda: st.one_of(choices)))
    def next(self, call: tuple[str, dict[str, Any]]) -> None:
        name, values = call
        getattr(self, name)(**values)

    @step(patient=patients, service=services, start=slots, by_staff=st.booleans())
    def hold(self, patient: int, service: int, start: int, by_staff: bool) -> None:
        self.hold_time(patient, self.calls.services[service], start, by_staff=by_staff)

    @step(patient=patients, service=services, start=slots)
    def book(self, patient: int, service: int, start: int) -> None:
        held = self.hold_time(patient, self.calls.services[service], start)
        if held is not None:
            self.confirm_hold(held, Who("patient", held.patient))

    @step(number=which, foreign=st.sampled_from([False, False, True]))
    def confirm(self, number: int, foreign: bool) -> None:
        known = self.model.pick(number, *(("held",) if number % 3 else ()))
        if known is not None:
            self.confirm_hold(known, self.who("stranger" if foreign else "patient", known))

    @step(number=which)
    def extend(self, number: int) -> None:
        if (known := self.model.pick(number, *(("held",) if number % 4 else ()))) is None:
            return
        answer = self.stage.now(self.calls.extend(known.id, known.token))
        if known.token == NO_TOKEN:
            assert answer.status_code == 404
        else:
            possible = known.status == "held" and known.is_live
            assert answer.status_code == (200 if possible else 409), answer.text
        if answer.status_code == 200:
            known.becomes("hold_extended")

    @step(number=which)
    def release(self, number: int) -> None:
        if (known := self.model.pick(number, *(("held",) if number % 4 else ()))) is None:
            return
        held = known.status == "held"
        done = self.stage.now(self.calls.let_go(known.id, known.token))
        assert done == held or known.overdue
        if done:
            known.becomes("hold_released")

    @step(number=which, part=parts)
    def cancel(self, number: int, part: str) -> None:
        if (known := self.model.pick(number)) is None:
            return
        who = self.who(part, known)
        held = known.status == "held"
        if self.attempt("cancel", known, who):
            by = "system" if who.role == "admin" else who.role
            known.becomes("hold_released" if held and by == "patient" else f"cancelled_by_{by}")
            self.model.end_moves_of(known)

    @step(number=which, part=parts)
    def approve(self, number: int, part: str) -> None:
        if (known := self.model.pick(number, *(("pending",) if number % 4 else ()))) is None:
            return
        if self.attempt("approve", known, self.who(part, known)):
            if (old := known.kept()) is not None:
                self.model.put_in_place(old, known, "approved")
            else:
                known.becomes("approved")

    @step(number=which, part=parts)
    def reject(self, number: int, part: str) -> None:
        known = self.model.pick(number, *(("pending",) if number % 4 else ()))
        if known is not None and self.attempt("reject", known, self.who(part, known)):
            known.becomes("rejected")

    @step(number=which, part=parts, came=st.booleans(), begun=st.booleans())
    def finish(self, number: int, part: str, came: bool, begun: bool) -> None:
        if (known := self.model.pick(number, *(("confirmed",) if number % 4 else ()))) is None:
            return
        if begun:
            self._begin(known)
        action = "completed" if came else "no_show"
        if self.attempt("complete" if came else "no_show", known, self.who(part, known)):
            known.becomes(action)

    @step(number=which, service=services, start=slots, part=parts)
    def move(self, number: int, service: int, start: int, part: str) -> None:
        """To a time picked for that, also one that overlaps the old one."""
        old = self.model.pick(number, *(("confirmed", "pending") if number % 4 else ()))
        if old is None:
            return
        wanted = self.calls.services[service]
        if wanted.provider != old.service.provider:
            wanted = old.service
        by_staff = part in ("provider", "admin")
        new = self.hold_time(
            self.calls.patients.index(old.patient), wanted, start, by_staff=by_staff, moves=old
        )
        if new is not None:
            self.reschedule_to(old, new, self.who(part, old))

    @step(number=which, service=services, start=slots)
    def hold_for_a_move(self, number: int, service: int, start: int) -> None:
        if (old := self.model.pick(number, "confirmed", "pending")) is not None:
            patient = self.calls.patients.index(old.patient)
            self.hold_time(patient, self.calls.services[service], start, moves=old)

    @step(number=which, start=slots)
    def move_to_where_they_are_busy(self, number: int, start: int) -> None:
        """The same patient's visit to the other provider stands in the way of the new time."""
        if (old := self.model.pick(number, "confirmed", "pending")) is None:
            return
        patient = self.calls.patients.index(old.patient)
        here, there = (0, 2) if old.service.provider != self.calls.services[2].provider else (2, 0)
        self.book(patient, there, start)
        new = self.hold_time(patient, self.calls.services[here], start, moves=old)
        if new is not None:
            self.reschedule_to(old, new, Who("patient", old.patient))

    @step(number=which, other=which, part=parts)
    def move_to_what_is_held(self, number: int, other: int, part: str) -> None:
        old, new = self.model.pick(number), self.model.pick(other, "held", "pending")
        if old is not None and new is not None and old is not new:
            self.reschedule_to(old, new, self.who(part, old))

    @step(number=which, part=parts)
    def staff_confirms(self, number: int, part: str) -> None:
        known = self.model.pick(number, *(("held",) if number % 4 else ()))
        if known is None or (who := self.who(part, known)).role == "patient":
            return
        body = {"patientId": str(known.patient), "reservationToken": known.token}
        done_before = known.status == "confirmed" and known.replaces is None
        possible = known.status == "held" and known.is_live and known.replaces is None
        free = not self.model.is_busy(known.patient, known.start, known.end)
        answer = self.post(who, f"/v1/providers/{known.service.provider}/appointments", body)
        if not has_part(who, known) or known.source != "provider" or known.token == NO_TOKEN:
            assert answer.status_code == 404
        elif done_before:
            assert (answer.status_code, answer.json()["id"]) == (201, str(known.id))
        elif answer.status_code == 201:
            assert possible
            assert free
            known.becomes("confirmed")
        else:
            assert not (possible and free), answer.text

    @step(patient=patients, service=services, start=slots, by_admin=st.booleans())
    def staff_books(self, patient: int, service: int, start: int, by_admin: bool) -> None:
        """Outside the rules, but not over what others have claimed."""
        offered, model = self.calls.services[service], self.model
        who = ADMIN if by_admin else Who("provider", offered.provider)
        new = Known(
            uuid4(),
            self.calls.patients[patient],
            offered,
            self.calls.slot(start),
            "provider",
            NO_TOKEN,
        )
        body = {
            "patientId": str(new.patient),
            "serviceId": str(offered.id),
            "start": new.start.isoformat(),
            "override": {"reason": "an emergency"},
        }
        has_unit = model.has_unit(offered, new.start, beside=None)
        free = not model.is_busy(new.patient, new.start, new.end)
        answer = self.post(who, f"/v1/providers/{offered.provider}/appointments", body)
        code = answer.json().get("code")
        if has_unit and free:
            assert answer.status_code == 201, answer.text
            new.becomes("confirmed")
        else:
            assert code == ("patient_busy" if has_unit else "slot_taken")
            new.becomes("hold_released")
        if has_unit:
            model.stray = new

    @step(number=which)
    def time_out(self, number: int) -> None:
        known = self.model.pick(number, "held", "pending")
        if known is not None and known.is_live:
            self.stage.now(self.calls.time_out(known.id))
            known.overdue = True

    @step(number=which)
    def begin(self, number: int) -> None:
        if (known := self.model.pick(number, "confirmed")) is not None:
            self._begin(known)

    def _begin(self, known: Known) -> None:
        """Together with what would take its place, which is over by then."""
        if known.status != "confirmed" or known.begun:
            return
        together = [known, *self.model.moves_of(known)]
        passed = self.stage.now(self.calls.begin(*(each.id for each in together)))
        for each in together:
            each.start -= passed
            each.begun = True
            each.overdue = each is not known

    @step()
    def work(self) -> None:
        self.stage.now(self.calls.work())
        for each in self.model.all:
            if each.is_active and each.overdue:
                each.expires()
            elif each.status == "confirmed" and each.begun:
                each.becomes(each.service.ends_as)

    @step(number=which, part=parts)
    def write_a_note(self, number: int, part: str) -> None:
        if (known := self.model.pick(number)) is not None:
            body = {"text": "bring your papers", "visibility": "shared"}
            who = self.who(part, known)
            answer = self.post(who, f"/v1/appointments/{known.id}/notes", body)
            assert answer.status_code == (201 if has_part(who, known) else 404)
            if answer.status_code == 201:
                known.trail.append("note_added")

    @step()
    def repeat(self) -> None:
        self.stage.now(self.calls.repeat())

    @invariant()
    def the_rows_are_what_the_model_says(self) -> None:
        if self.model.all or self.model.stray:
            self.stage.now(self.calls.agree(self.rows, self.model))

    def teardown(self) -> None:
        self.stage.seen.update(action for each in self.model.all for action in each.trail)


async def test_random_stories_go_as_the_model_says(
    api: AsyncClient, as_user: As, database: Database
) -> None:
    stage = Stage(api, database, as_user, asyncio.get_running_loop())
    chosen = settings(
        max_examples=RUNS,
        stateful_step_count=STEPS,
        suppress_health_check=list(HealthCheck),
    )

    await asyncio.to_thread(run_state_machine_as_test, lambda: Life(stage), settings=chosen)

    calls = {action for _, action in TRANSITIONS} | {Action.HELD_CREATED, Action.NOTE_ADDED}
    assert not NIGHTLY or stage.seen == calls
