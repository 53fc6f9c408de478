"""The calls of a story, each with what the model says that must come of it."""

from typing import Any
from uuid import UUID, uuid4

from shared.http import Response

from .life_calls import Calls, Stage
from .life_model import NO_TOKEN, Known, Model, Offered, Who
from .life_rows import Rows

ADMIN = Who("admin", uuid4())


class Story:
    """What has been called so far, and what must have come of it."""

    stage: Stage
    calls: Calls
    model: Model
    rows: Rows

    def who(self, part: str, known: Known) -> Who:
        match part:
            case "patient":
                return Who("patient", known.patient)
            case "provider":
                return Who("provider", known.service.provider)
            case "admin":
                return ADMIN
            case _:
                (other,) = {*self.calls.patients} - {known.patient}
                return Who("patient", other)

    def post(self, who: Who, path: str, body: dict[str, Any]) -> Response:
        return self.stage.now(self.calls.post(who, path, body))

    def hold_time(
        self,
        patient: int,
        service: Offered,
        start: int,
        *,
        by_staff: bool = False,
        moves: Known | None = None,
    ) -> Known | None:
        patient_id, at, model = self.calls.patients[patient], self.calls.slot(start), self.model
        by = Who("provider", service.provider) if by_staff else Who("patient", patient_id)
        source = "provider" if by_staff else "patient_portal"
        own = [
            each.id
            for each in model.all
            if (each.patient, each.service, each.start) == (patient_id, service, at)
            and (each.status, each.source) == ("held", source)
            and each.is_live
            and each.replaces in (None, moves)
        ]
        possible = moves is None or (
            "reschedule" in model.allowed(by, moves)
            and has_part(by, moves)
            and service.provider == moves.service.provider
        )
        has_unit = model.has_unit(service, at, beside=moves)
        answer, token = self.stage.now(
            self.calls.hold(patient_id, service, at, by=by, moves=moves and moves.id)
        )
        assert (answer.status_code == 201) == (possible and (bool(own) or has_unit)), answer.text
        if answer.status_code != 201:
            assert not possible or answer.json()["code"] == "slot_taken"
            return None
        id_ = answer.json()["appointmentId"]
        known = next((each for each in model.all if str(each.id) == id_), None)
        assert (known is not None) == bool(own)
        if known is None:
            known = Known(UUID(id_), patient_id, service, at, source, token, replaces=moves)
            known.moves = moves.moves + 1 if moves else 0
            model.all.append(known)
            self.stage.now(self.calls.agree(self.rows, model))
        else:
            assert known.id in own
            known.token = token
        return known

    def confirm_hold(self, known: Known, who: Who) -> None:
        possible = "confirm" in self.told(known, who)
        free = not self.model.is_busy(known.patient, known.start, known.end)
        answer = self.post(who, "/v1/bookings", {"reservationToken": known.token})
        if not has_part(who, known) or known.token == NO_TOKEN:
            assert answer.status_code == 404
        elif known.status in ("pending", "confirmed"):
            assert (answer.status_code, answer.json()["id"]) == (201, str(known.id))
        elif possible and free:
            assert answer.status_code == 201, answer.text
            known.becomes("request_submitted" if known.service.needs_approval else "confirmed")
        else:
            assert answer.status_code == 409
            assert not possible or answer.json()["code"] == "patient_busy"

    def reschedule_to(self, old: Known, new: Known, who: Who) -> None:
        model = self.model
        told = self.told(old, who)
        waits = new.status in ("pending", "confirmed")
        done = new.replaces is old and (old.replaced_by is new or waits)
        possible = (
            "reschedule" in told
            and (new.status, new.is_live, new.patient) == ("held", True, old.patient)
            and new.service.provider == old.service.provider
            and new.replaces in (None, old)
        )
        asks = new.service.needs_approval and who.role == "patient"
        at_once = old.status == "pending" or not asks
        rivals = model.moves_of(old, besides=new)
        free = not model.is_busy(old.patient, new.start, new.end, old, *rivals)
        body = {"reservationToken": new.token}
        answer = self.post(who, f"/v1/appointments/{old.id}/reschedule", body)
        if not has_part(who, old) or not has_part(who, new):
            assert answer.status_code == 404
        elif done:
            assert (answer.status_code, answer.json()["id"]) == (200, str(new.id))
        elif answer.status_code != 200:
            assert answer.status_code == 409
            assert not possible or answer.json()["code"] == "patient_busy"
            assert not (possible and free), answer.text
        else:
            assert possible
            assert free
            action = "request_submitted" if asks else "confirmed"
            if at_once:
                model.put_in_place(old, new, action)
            else:
                model.end_moves_of(old, besides=new)
                new.becomes(action)
                new.replaces, new.moves = old, old.moves + 1

    def attempt(self, name: str, known: Known, who: Who) -> bool:
        """Make the call; it must succeed exactly where the caller was told that it would."""
        told = self.told(known, who)
        path = f"/v1/appointments/{known.id}/{name.replace('_', '-')}"
        answer = self.post(who, path, {})
        if not has_part(who, known):
            assert answer.status_code == 404
        elif name in told:
            assert answer.status_code == 200, answer.text
        else:
            forbidden = who.role == "patient" and name != "cancel"
            assert answer.status_code == (403 if forbidden else 409)
        return answer.status_code == 200

    def told(self, known: Known, who: Who) -> list[str]:
        answer = self.stage.now(self.calls.get(who, f"/v1/appointments/{known.id}"))
        if not has_part(who, known):
            assert answer.status_code == 404
            return []
        told: list[str] = answer.json()["allowedActions"]
        assert told == self.model.allowed(who, known)
        return told


def has_part(who: Who, known: Known) -> bool:
    return who.role == "admin" or who.id in (known.patient, known.service.provider)
