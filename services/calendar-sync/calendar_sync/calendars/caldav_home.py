"""Where a CalDAV account keeps its calendars, from whatever address its owner knows (RFC 6764)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from calendar_sync.calendars.contract import NotFound, Refused
from calendar_sync.calendars.dav import CALDAV, DAV, Dav, Member, may_get_password


@dataclass(frozen=True, slots=True)
class Home:
    """The collection of somebody's calendars, and the addresses by which they are invited."""

    url: str
    owners: Sequence[str]


async def find_home(dav: Dav, url: str, username: str) -> Home:
    """From the address of a server, an account, or one calendar. Raises NotFound, Refused,
    AccessGone, Temporary; the password goes to no other domain."""
    principal = await _principal(dav, url)
    if principal is None:
        return Home(url, [username.lower()])
    found = await dav.properties(principal, "C:calendar-home-set", "C:calendar-user-address-set")
    who = found[0] if found else Member("", 200, {})
    home = who.href_in(f"{CALDAV}calendar-home-set")
    if home is None:
        raise NotFound("no_calendars")
    return Home(_trusted(url, urljoin(principal, home)), list(_addresses(who, username)))


def is_calendar(member: Member) -> bool:
    kind = member.properties.get(f"{DAV}resourcetype")
    return kind is not None and kind.find(f"{CALDAV}calendar") is not None


async def _principal(dav: Dav, url: str) -> str | None:
    """Where the user is described; None when the address is that of a calendar, and no more."""
    refusal: NotFound | Refused = NotFound("no_caldav_here")
    is_one = False
    for place in (url, urljoin(url, "/.well-known/caldav"), urljoin(url, "/")):
        try:
            found = await dav.properties(place, "D:current-user-principal", "D:resourcetype")
        except (NotFound, Refused) as error:
            if error.reason in ("address_not_allowed", "redirected_to_stranger"):
                raise
            refusal = error
            continue
        for member in found[:1]:
            href = member.href_in(f"{DAV}current-user-principal")
            if href is not None:
                return _trusted(url, urljoin(place, href))
            is_one = is_one or (place == url and is_calendar(member))
    if is_one:
        return None
    raise NotFound("no_caldav_here") from refusal


def _addresses(who: Member, username: str) -> Iterator[str]:
    """By which the owner is invited, to find their own answer among those of others."""
    yield username.lower().replace(" ", "")
    found = who.properties.get(f"{CALDAV}calendar-user-address-set")
    for href in found.iter(f"{DAV}href") if found is not None else ():
        address = (href.text or "").strip().lower()
        if address.startswith("mailto:") and " " not in address:
            yield address.removeprefix("mailto:")


def _trusted(url: str, found: str) -> str:
    if not may_get_password(urlsplit(url).hostname or "", found):
        raise Refused("redirected_to_stranger")
    return found
