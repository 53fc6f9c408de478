"""Which addresses that users enter we talk to: https, and machines of the public internet only."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from yarl import URL

_LONGEST = 2000
_WEB_PORT, _FIRST_FREE_PORT = 443, 1024
_FORBIDDEN_CHARACTER = re.compile(r"[\s\x00-\x1f\x7f-\x9f\\]")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_LONGEST_HOST = 253
_INNER_NAMES = ("localhost", "local", "localdomain", "internal", "intranet", "home.arpa")

# IANA's special-purpose registry, the relays of 6to4, and what answers as the cloud's own host.
_NOT_PUBLIC_4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
# Global unicast is all that is public. Loopback, link-local, private, mapped, compatible and NAT64
# forms lie outside of it; Teredo, documentation and 6to4 inside.
_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = [
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]


class AddressRefused(Exception):
    """We do not talk to this address, now or later; ``code`` and the message are for its owner."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def not_public() -> AddressRefused:
    return AddressRefused("NOT_PUBLIC", "Must lead to a host on the public internet.")


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anybody on the internet could talk to this address as well as we can."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None:
        return False
    return address in _UNICAST_6 and not any(address in network for network in _NOT_PUBLIC_6)


def checked_url(text: str, *, opened: Collection[str] = ()) -> URL:
    """The address as it is connected to; raises AddressRefused for what can be told by looking.

    ``opened`` names hosts, ``name`` or ``name:port``, to which neither https nor a public address
    is asked for. Where a name leads is looked at when it is connected to, not here.
    """
    url = _parsed(text)
    if is_opened(url, opened):
        return url
    if url.scheme != "https":
        raise AddressRefused("NOT_HTTPS", "Must begin with https://.")
    if url.port != _WEB_PORT and (url.port is None or url.port < _FIRST_FREE_PORT):
        raise AddressRefused("PORT_NOT_ALLOWED", "Use port 443, or one from 1024 on.")
    host = (url.raw_host or "").lower().rstrip(".")
    try:
        literal = ip_address(host)
    except ValueError:
        _check_name(host)
    else:
        if not is_public(literal):
            raise not_public()
    return url


def is_opened(url: URL, opened: Collection[str]) -> bool:
    host = (url.raw_host or "").lower()
    return host in opened or f"{host}:{url.port}" in opened


def _parsed(text: str) -> URL:
    if len(text) > _LONGEST or _FORBIDDEN_CHARACTER.search(text):
        raise AddressRefused("NOT_A_URL", "Write an address such as https://example.com/hook.")
    try:
        url = URL(text, encoded=text.isascii())  # what is written is what is asked for
        usable = url.scheme in ("http", "https") and bool(url.raw_host) and url.port != 0
        has_credentials = url.raw_user is not None or url.raw_password is not None
    except ValueError:
        usable = has_credentials = False
    if has_credentials:
        raise AddressRefused("HAS_CREDENTIALS", "Must not contain a user name or a password.")
    if not usable:
        raise AddressRefused("NOT_A_URL", "Write an address such as https://example.com/hook.")
    return url.with_fragment(None)


def _check_name(host: str) -> None:
    last = host.rpartition(".")[2]
    # Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses.
    if _NUMERIC_LABEL.fullmatch(last) or host in _INNER_NAMES or "." not in host:
        raise not_public()
    if host.endswith(tuple(f".{name}" for name in _INNER_NAMES)):
        raise not_public()
    if len(host) > _LONGEST_HOST or not _HOST.fullmatch(host):
        raise AddressRefused("NOT_A_URL", "The host name is not one.")
