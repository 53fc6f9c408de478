"""One person's calendars at Microsoft, as the contract wants them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from calendar_sync.calendars.contract import (
    Channel,
    ChannelRequest,
    CursorGone,
    ExternalEvent,
    NotFound,
    Occurrence,
    OurEvent,
    Page,
    RemoteCalendar,
    Stale,
    Temporary,
    Unreadable,
    Window,
    Written,
)
from calendar_sync.calendars.microsoft import events
from calendar_sync.calendars.microsoft.delta import (
    bounds,
    event_of,
    items,
    occurrence,
    read_delta,
)
from calendar_sync.calendars.microsoft.events import Odd
from calendar_sync.calendars.microsoft.graph import Graph, Rejected

_PAGE = 100
_MOST_CALENDARS = 500
_MOST_OCCURRENCES = 5000
_PREFER = 'outlook.timezone="UTC", outlook.body-content-type="text"'
_LONGEST = timedelta(minutes=10_080) - timedelta(hours=1)
"""Graph's limit for subscriptions, less what our clock and its may differ."""
_MASTER = {
    "$expand": f"singleValueExtendedProperties($filter=id eq '{events.PROPERTY}')",
    "$select": "id,iCalUId,transactionId",
}


class MicrosoftAccount:
    """A ``PushingAccount``."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def owner(self) -> str:
        """The name by which the account is signed in to."""
        name = (await self._graph.call("GET", "/me")).get("userPrincipalName")
        if not isinstance(name, str) or not name:
            raise Temporary("answer_unreadable")
        return name

    async def calendars(self) -> Sequence[RemoteCalendar]:
        query = {"$select": "id,name,canEdit,isDefaultCalendar", "$top": "100"}
        found = []
        async for item in self._listed("/me/calendars", query):
            if isinstance(item.get("id"), str):
                found.append(
                    RemoteCalendar(
                        id=item["id"],
                        name=str(item.get("name") or ""),
                        timezone=None,
                        is_writable=item.get("canEdit") is True,
                        is_primary=item.get("isDefaultCalendar") is True,
                    )
                )
            if len(found) == _MOST_CALENDARS:
                break
        return found

    async def changes(
        self, calendar_id: str, cursor: str | None, *, window: Window, zone: ZoneInfo
    ) -> AsyncIterator[Page]:
        """A series is one event. Graph names its occurrences without saying what they are, and
        says nothing of one that was deleted, so a series that is mentioned is read whole.
        """
        series: set[str] = set()
        link = cursor
        while True:
            answer = await self._delta(calendar_id, link, window)
            found = read_delta(answer, zone)
            found.add_series(series)
            following, last = answer.get("@odata.nextLink"), answer.get("@odata.deltaLink")
            if isinstance(following, str) and following != link:
                # Whoever went on from here would never hear of the series.
                resume = None if series else following
                yield Page(events=found.alone, unreadable=found.unreadable, cursor=resume)
                link = following
                continue
            if not isinstance(last, str):
                raise Temporary("answer_unreadable")
            break
        if series:
            yield Page(events=found.alone, unreadable=found.unreadable)
            for id_ in sorted(series):
                yield await self._series(calendar_id, id_, window, zone)
            yield Page(events=(), cursor=last)
        else:
            yield Page(events=found.alone, unreadable=found.unreadable, cursor=last)

    async def put(self, calendar_id: str, event: OurEvent, *, etag: str | None) -> Written:
        content = events.content_of(event)
        found = await self._ours(calendar_id, event.key)
        for id_, found_etag in found.items():
            if etag in (None, found_etag):
                written = await self._patch(calendar_id, id_, content, etag)
                if written is not None:
                    return written
        if etag is not None:
            raise Stale
        # A transaction that is known answers with its event, as it is now and even if it is no
        # more. So the event is written once again, and if it is not there, made as another.
        for transaction in (
            events.transaction_id(event.key),
            events.transaction_id(event.key, uuid4().hex[:12]),
        ):
            made = await self._in_calendar(
                "POST", calendar_id, "/events", content | {"transactionId": transaction}
            )
            written = await self._patch(calendar_id, str(made.get("id")), content, None)
            if written is not None:
                return written
        raise Temporary("event_vanished")

    async def remove(self, calendar_id: str, key: UUID, external_id: str | None) -> None:
        try:
            found = await self._ours(calendar_id, key)
        except NotFound:
            found = {}
        for id_ in {*found, *filter(None, [external_id])}:
            try:
                await self._graph.call("DELETE", f"/me/events/{_quoted(id_)}")
            except Rejected as no:
                if no.status not in (404, 410):
                    raise

    async def revoke(self) -> None:
        """Does nothing: an application cannot give one person's access back to Microsoft."""

    async def open_channel(self, calendar_id: str, wanted: ChannelRequest) -> Channel:
        subscription = {
            "changeType": "created,updated,deleted",
            "notificationUrl": wanted.address,
            "lifecycleNotificationUrl": f"{wanted.address}/lifecycle",
            "resource": f"/me/calendars/{calendar_id}/events",
            "expirationDateTime": _until(wanted.lasts),
            # Messages may come before the answer with the subscription's id does.
            "clientState": f"{wanted.id}.{wanted.secret}",
        }
        return _channel(await self._graph.call("POST", "/subscriptions", body=subscription))

    async def renew_channel(self, channel: Channel, lasts: timedelta) -> Channel | None:
        """None for one that is not there any more."""
        try:
            return _channel(
                await self._graph.call(
                    "PATCH",
                    f"/subscriptions/{_quoted(channel.external_id)}",
                    body={"expirationDateTime": _until(lasts)},
                )
            )
        except Rejected as no:
            if no.status in (404, 410):
                return None
            raise

    async def stop_channel(self, channel_id: UUID, external_id: str) -> None:
        try:
            await self._graph.call("DELETE", f"/subscriptions/{_quoted(external_id)}")
        except Rejected as no:
            if no.status not in (404, 410):
                raise

    async def _delta(self, calendar_id: str, link: str | None, window: Window) -> dict[str, Any]:
        place = f"/me/calendars/{_quoted(calendar_id)}/calendarView/delta"
        query = None if link else bounds(window)
        prefer = f"{_PREFER}, odata.maxpagesize={_PAGE}"
        try:
            return await self._graph.call("GET", link or place, query=query, prefer=prefer)
        except Rejected as no:
            if link is not None and (no.status == 410 or _is_about_cursor(no)):
                raise CursorGone from no
            if no.status == 404:
                raise NotFound("calendar_not_found") from no
            raise

    async def _series(self, calendar_id: str, id_: str, window: Window, zone: ZoneInfo) -> Page:
        """Nothing more of it in the window, or of it at all, is an event without occurrences."""
        place = f"/me/calendars/{_quoted(calendar_id)}/events/{_quoted(id_)}"
        try:
            master = await self._graph.call("GET", place, query=_MASTER, prefer=_PREFER)
            occurrences = await self._instances(place, window, zone)
        except Rejected as no:
            if no.status in (404, 410):
                return Page(events=[ExternalEvent(id=id_)])
            return Page(events=(), unreadable=[Unreadable(id_, no.reason)])
        except Odd as odd:
            return Page(events=(), unreadable=[Unreadable(id_, str(odd))])
        return Page(events=[event_of({**master, "id": id_}, occurrences)])

    async def _instances(self, place: str, window: Window, zone: ZoneInfo) -> list[Occurrence]:
        query = {**bounds(window), "$select": events.FIELDS, "$top": "200"}
        found = []
        async for item in self._listed(f"{place}/instances", query):
            found.append(occurrence(item, zone))
            if len(found) > _MOST_OCCURRENCES:
                raise Odd("too_many_occurrences")
        return found

    async def _ours(self, calendar_id: str, key: UUID) -> dict[str, str | None]:
        """Events with this key in the calendar, with their etags; more than one when somebody has
        copied it."""
        is_it = f"ep/id eq '{events.PROPERTY}' and ep/value eq '{key}'"
        query = {
            "$filter": f"singleValueExtendedProperties/Any(ep: {is_it})",
            "$select": "id",
        }
        answer = await self._in_calendar("GET", calendar_id, "/events", query=query)
        return {
            item["id"]: item.get("@odata.etag")
            for item in items(answer)
            if isinstance(item.get("id"), str)
        }

    async def _patch(
        self, calendar_id: str, id_: str, content: Mapping[str, Any], etag: str | None
    ) -> Written | None:
        """None when there is no such event in the calendar."""
        try:
            answer = await self._in_calendar(
                "PATCH", calendar_id, f"/events/{_quoted(id_)}", content, if_match=etag
            )
        except NotFound:
            return None
        found = answer.get("@odata.etag")
        return Written(str(answer.get("id", id_)), found if isinstance(found, str) else None)

    async def _in_calendar(
        self,
        method: str,
        calendar_id: str,
        place: str,
        body: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Raises NotFound for the calendar, or for the event in it, and Stale."""
        place = f"/me/calendars/{_quoted(calendar_id)}{place}"
        try:
            return await self._graph.call(method, place, body=body, prefer=_PREFER, **options)
        except Rejected as no:
            if no.status in (404, 410):
                raise NotFound("calendar_not_found") from no
            if no.status == 412:
                raise Stale from no
            raise

    async def _listed(
        self, place: str, query: Mapping[str, str] | None
    ) -> AsyncIterator[Mapping[str, Any]]:
        seen: set[str] = set()
        while True:
            answer = await self._graph.call("GET", place, query=query, prefer=_PREFER)
            for item in items(answer):
                yield item
            following = answer.get("@odata.nextLink")
            if not isinstance(following, str) or following in seen:
                return
            seen.add(following)
            place, query = following, None


def _quoted(id_: str) -> str:
    return quote(id_, safe="")


def _until(lasts: timedelta) -> str:
    return events.graph_time(datetime.now(UTC) + min(lasts, _LONGEST))


def _channel(answer: Mapping[str, Any]) -> Channel:
    try:
        return Channel(str(answer["id"]), events.expiry_of(answer))
    except (KeyError, ValueError):
        raise Temporary("answer_unreadable") from None


def _is_about_cursor(no: Rejected) -> bool:
    return "syncstate" in no.code or no.code == "resyncrequired"
