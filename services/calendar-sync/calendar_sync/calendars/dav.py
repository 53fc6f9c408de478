"""WebDAV (RFC 4918): one request, and what its multistatus answer says."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from calendar_sync.calendars.contract import AccessGone, NotFound, Refused, Temporary
from calendar_sync.metrics import count_call
from shared.outside import AddressRefused, BadAnswer, Outside, Unreachable
from shared.retry_after import retry_after

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
SERVER = "{http://calendarserver.org/ns/}"

MOST_BYTES = 16 * 1024 * 1024
_SECONDS = 30.0
_REDIRECTS = 5
_IN_PATHS = "/~!$&'()*+,;=:@-._"
_SHORT = 3
_NAMESPACES = (
    'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:S="http://calendarserver.org/ns/"'
)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    url: str
    body: bytes

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300

    @property
    def etag(self) -> str | None:
        """With its quotes; a weak one is good for nothing that we do."""
        etag = self.headers.get("ETag", "")
        return etag if etag.startswith('"') else None

    def names(self, condition: str) -> bool:
        """Whether the body of a refusal names this precondition."""
        return condition.encode() in self.body


@dataclass(frozen=True, slots=True)
class Member:
    """What a multistatus says of one resource."""

    href: str
    status: int
    properties: Mapping[str, Element]

    def text(self, name: str) -> str | None:
        found = self.properties.get(name)
        return found.text.strip() if found is not None and found.text else None

    def href_in(self, name: str) -> str | None:
        found = self.properties.get(name)
        href = found.find(f"{DAV}href") if found is not None else None
        return href.text.strip() if href is not None and href.text else None


class Dav:
    """A server as one of its users sees it."""

    def __init__(self, outside: Outside, username: str, password: str) -> None:
        self._outside = outside
        token = b64encode(f"{username}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}

    async def ask(
        self,
        method: str,
        url: str,
        body: str | bytes = b"",
        *,
        depth: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The answer below 500, redirects followed as long as the password may go with them.

        Raises Temporary, AccessGone for 401, Refused for an address we do not talk to.
        """
        sent = {**self._headers, **(headers or {})}
        if depth is not None:
            sent["Depth"] = depth
        if body and "Content-Type" not in sent:
            sent["Content-Type"] = "application/xml; charset=utf-8"
        content = body.encode() if isinstance(body, str) else body
        for _ in range(_REDIRECTS + 1):
            reply = await self._send(method, url, content, sent)
            place = reply.headers.get("Location")
            if reply.status not in (301, 302, 303, 307, 308) or place is None:
                return _checked(reply)
            following = urljoin(url, place)
            if not may_get_password(urlsplit(url).hostname or "", following):
                raise Refused("redirected_to_stranger")
            url = following
        raise Refused("redirects_too_often")

    async def _send(
        self, method: str, url: str, content: bytes, headers: Mapping[str, str]
    ) -> Reply:
        try:
            async with self._outside.call(
                method, url, headers=headers, body=content or None, seconds=_SECONDS
            ) as answer:
                count_call("caldav", answer.status)
                body = await answer.read(MOST_BYTES)
                return Reply(answer.status, answer.headers, answer.url, body)
        except AddressRefused as error:
            raise Refused("address_not_allowed") from error
        except Unreachable as error:
            count_call("caldav", None)
            raise Temporary("unreachable") from error
        except BadAnswer as error:
            raise Temporary("answer_too_large") from error

    async def properties(self, url: str, *names: str, depth: str = "0") -> list[Member]:
        """PROPFIND; raises NotFound, Refused."""
        wanted = "".join(f"<{name}/>" for name in names)
        body = f"<D:propfind {_NAMESPACES}><D:prop>{wanted}</D:prop></D:propfind>"
        reply = await self.ask("PROPFIND", url, body, depth=depth)
        return list(members(expect_multistatus(reply), reply.url))

    async def report(self, url: str, name: str, content: str, *, depth: str) -> Reply:
        """REPORT; the answer whatever it says."""
        return await self.ask(
            "REPORT", url, f"<{name} {_NAMESPACES}>{content}</{name}>", depth=depth
        )


def expect_multistatus(reply: Reply) -> Element:
    """Raises NotFound, Refused for any other answer."""
    if reply.status in (404, 410):
        raise NotFound("not_found")
    if reply.status != 207:
        raise Refused("not_caldav")
    return parsed(reply.body)


def parsed(body: bytes) -> Element:
    """Raises Refused for what is no XML, or has a DTD."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Refused("answer_not_understood") from error
    return root


def members(root: Element, url: str) -> Iterator[Member]:
    """What it says of each resource: hrefs as absolute paths, properties that were found."""
    for response in root.iter(f"{DAV}response"):
        href = response.findtext(f"{DAV}href")
        if not href:
            continue
        status = _status(response.findtext(f"{DAV}status"))
        found: dict[str, Element] = {}
        for part in response.iter(f"{DAV}propstat"):
            code = _status(part.findtext(f"{DAV}status"))
            properties = part.find(f"{DAV}prop")
            if code == 200 and properties is not None:
                found |= {each.tag: each for each in properties}
        yield Member(path_of(urljoin(url, href.strip())), status or 200, found)


def path_of(url: str) -> str:
    """The path in one spelling, however the server has quoted it."""
    path = urlsplit(url).path
    return path if "%2f" in path.lower() else quote(unquote(path), safe=_IN_PATHS)


def may_get_password(host: str, url: str) -> bool:
    """Whether the password for ``host`` may be sent there: to itself, or to a sibling under the
    same registered domain, as one large provider has a host name for each user."""
    target = urlsplit(url)
    other = (target.hostname or "").lower()
    host = host.lower()
    if target.scheme not in ("http", "https"):
        return False
    if other == host:
        return True
    parent = host.partition(".")[2].split(".")
    # Without a list of public suffixes: co.uk and its like are told by their length.
    if len(parent) < 2 or (len(parent) == 2 and len(parent[0]) <= _SHORT):
        return False
    return target.scheme == "https" and other.endswith("." + ".".join(parent))


def _status(line: str | None) -> int:
    parts = (line or "").split()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdecimal() else 0


def _checked(reply: Reply) -> Reply:
    if reply.status == 401:
        raise AccessGone("login_refused")
    if reply.status == 429 or (reply.status >= 500 and reply.status != 507):
        reason = "too_many_requests" if reply.status == 429 else "server_error"
        raise Temporary(reason, retry_after(reply.headers))
    return reply
