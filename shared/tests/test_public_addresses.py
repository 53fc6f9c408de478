"""Which addresses that users enter we talk to, as far as looking at them tells."""

from ipaddress import ip_address

import pytest

from shared.public_addresses import AddressRefused, checked_url, is_public


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "2a00::1"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.8.8.8",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:1.1.1.1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hook?a=b",
        "https://EXAMPLE.com:8443/hook",
        "https://a-b.example.co.uk./",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/",
        "https://παράδειγμα.ελ/hook",
        "https://example.com:443/x%20y",
    ],
)
def test_addresses_that_may_be_called(url: str) -> None:
    assert checked_url(url).scheme == "https"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "NOT_A_URL"),
        ("example.com", "NOT_A_URL"),
        ("//example.com/x", "NOT_A_URL"),
        ("https://", "NOT_A_URL"),
        ("https:///path", "NOT_A_URL"),
        ("ftp://example.com", "NOT_A_URL"),
        ("file:///etc/passwd", "NOT_A_URL"),
        ("gopher://example.com", "NOT_A_URL"),
        ("https://exa mple.com", "NOT_A_URL"),
        ("https://example.com/\r\nHost: x", "NOT_A_URL"),
        ("https://example.com\\@127.0.0.1/", "NOT_A_URL"),
        ("https://example.com\x00/", "NOT_A_URL"),
        ("https://exa_mple-.com/", "NOT_A_URL"),
        (f"https://{'a' * 64}.com/", "NOT_A_URL"),
        ("https://example.com:99999/", "NOT_A_URL"),
        ("https://example.com:0/", "NOT_A_URL"),
        ("https://[::1/", "NOT_A_URL"),
        ("https://example.com/" + "a" * 2000, "NOT_A_URL"),
        ("\udcffhttps://example.com", "NOT_A_URL"),
        ("https://\udcff.com", "NOT_A_URL"),
        ("http://example.com", "NOT_HTTPS"),
        ("https://user:secret@example.com", "HAS_CREDENTIALS"),
        ("https://user@example.com", "HAS_CREDENTIALS"),
        ("https://example.com:25/", "PORT_NOT_ALLOWED"),
        ("https://example.com:80/", "PORT_NOT_ALLOWED"),
        ("https://localhost/", "NOT_PUBLIC"),
        ("https://LOCALHOST:8443/", "NOT_PUBLIC"),
        ("https://x.localhost/", "NOT_PUBLIC"),
        ("https://rabbitmq:15672/", "NOT_PUBLIC"),
        ("https://metadata.google.internal/", "NOT_PUBLIC"),
        ("https://printer.local./", "NOT_PUBLIC"),
        ("https://127.0.0.1/", "NOT_PUBLIC"),
        ("https://127.1/", "NOT_PUBLIC"),
        ("https://2130706433/", "NOT_PUBLIC"),
        ("https://0x7f000001/", "NOT_PUBLIC"),
        ("https://0x7f.0.0.0x1/", "NOT_PUBLIC"),
        ("https://0177.0.0.1/", "NOT_PUBLIC"),
        ("https://169.254.169.254/latest/meta-data/", "NOT_PUBLIC"),
        ("https://[::1]/", "NOT_PUBLIC"),
        ("https://[::ffff:169.254.169.254]/", "NOT_PUBLIC"),
        ("https://[fe80::1%25eth0]/", "NOT_PUBLIC"),
        ("https://①②⑦.⓪.⓪.①/", "NOT_PUBLIC"),
    ],
)
def test_addresses_that_are_refused(url: str, code: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        checked_url(url)

    assert refused.value.code == code


def test_a_host_that_is_opened_by_name_needs_neither_https_nor_a_public_address() -> None:
    opened = {"localhost:9000", "receiver.test"}

    assert str(checked_url("http://localhost:9000/x", opened=opened)) == "http://localhost:9000/x"
    assert checked_url("http://Receiver.test:81/", opened=opened).port == 81
    for url in ("http://localhost:9001/", "http://evil.receiver.test/", "ftp://receiver.test"):
        with pytest.raises(AddressRefused):
            checked_url(url, opened=opened)
