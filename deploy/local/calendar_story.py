"""Both directions between the platform and a provider's own calendar, seen to happen."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from local.api import Api
from local.calendar_connection import CalendarConnection
from local.radicale import USER
from local.waiting import wait_for

LIMIT = 45.0
"""Seconds: three polls of the calendar, though it is asked to be read at once."""
_EVENT = "shown-by-the-story"


class CalendarStory:
    """What a newcomer sees of one provider's calendar."""

    def __init__(
        self,
        api: Api,
        calendar: CalendarConnection,
        tell: Callable[[str], None],
        more: Callable[[str], None],
    ) -> None:
        self._api = api
        self._calendar = calendar
        self._tell = tell
        self._more = more

    async def see_appointment(self, appointment: dict[str, Any]) -> None:
        """It stands in the provider's own calendar."""
        radicale = self._calendar.radicale
        start = _utc(datetime.fromisoformat(appointment["start"]))

        async def look() -> bool:
            return f"DTSTART:{start}\r\n" in await radicale.content()

        await wait_for(look, "the appointment in the provider's own calendar", limit=LIMIT)
        self._tell(f"it stands in {self._calendar.provider.name}'s own calendar:")
        self._more(f"curl -u {USER}:{radicale.password} {radicale.calendar_url}")

    async def see_event_take_time(
        self, timeslot: dict[str, Any], service_id: str, token: str
    ) -> None:
        """What the provider enters there is not offered any more, until it is deleted."""
        start = datetime.fromisoformat(timeslot["start"])
        shown = start.astimezone(ZoneInfo(self._calendar.provider.timezone))

        async def offered() -> bool:
            path = f"/v1/providers/{self._calendar.provider.id}/availability"
            query = f"?serviceId={service_id}&date={shown.date()}&status=available"
            answer = await self._api.expect(200, "GET", path + query, token=token)
            return timeslot["id"] in {each["id"] for each in answer.json["timeslots"]}

        async def gone() -> bool:
            return not await offered()

        end = datetime.fromisoformat(timeslot["end"])
        await self._calendar.radicale.put(_EVENT, _event(start, end))
        try:
            await self._read_now()
            await wait_for(gone, f"{shown:%H:%M} taken by the calendar", limit=LIMIT)
            self._tell(f"an event put into that calendar takes {shown:%H:%M} from availability")
        finally:
            await self._calendar.radicale.delete(_EVENT)
        await self._read_now()
        await wait_for(offered, f"{shown:%H:%M} offered again", limit=LIMIT)
        self._tell(f"the event is deleted there: {shown:%H:%M} is offered again")

    async def _read_now(self) -> None:
        path = f"{self._calendar.path}/resync"
        await self._api.expect(202, "POST", path, token=self._calendar.provider.token)


def _event(start: datetime, end: datetime) -> str:
    return "\r\n".join(
        [
            *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Medic//Story//EN", "BEGIN:VEVENT"),
            *(f"UID:{_EVENT}", "DTSTAMP:20260101T000000Z", "SUMMARY:Dentist"),
            *(f"DTSTART:{_utc(start)}", f"DTEND:{_utc(end)}"),
            *("END:VEVENT", "END:VCALENDAR", ""),
        ]
    )


def _utc(instant: datetime) -> str:
    return instant.astimezone(ZoneInfo("UTC")).strftime("%Y%m%dT%H%M%SZ")
