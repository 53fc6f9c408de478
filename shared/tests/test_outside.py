"""Calls to addresses that users enter, against real TLS servers on two loopback addresses: here
127.0.0.1 plays the public internet, and 127.0.0.2 the private network."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.outside import AddressRefused, BadAnswer, Outside, Unreachable, opened_hosts

PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"


class Names(AbstractResolver):
    """Where names lead: to one answer after the other, and then always to the last."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {f"{name}.example.com": answer for name, answer in answers.items()}
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        answers = self._answers.get(host)
        if answers is None:
            raise OSError(None, "no such name")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None: ...


class Site:
    """What the test's servers do, and what they were asked."""

    def __init__(self) -> None:
        self.seen: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer: Callable[[web.Request], Any] = lambda _: web.Response(text="hello")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        self.bodies.append(await request.read())
        answer = self.answer(request)
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for ``*.example.com``, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("*.example.com")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
async def site() -> Site:
    return Site()


@pytest.fixture
async def port(site: Site, certificate: tuple[Path, Path]) -> AsyncIterator[int]:
    """Where the site listens, on both addresses, with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    public = socket.create_server((PUBLIC, 0))
    number: int = public.getsockname()[1]
    private = socket.create_server((PRIVATE, number))
    for listening in (public, private):
        await web.SockSite(runner, listening, ssl_context=context).start()
    yield number
    await runner.cleanup()


Open = Callable[..., AbstractAsyncContextManager[Outside]]


@pytest.fixture
def outside(certificate: tuple[Path, Path]) -> Open:
    @asynccontextmanager
    async def open_(names: Names, **options: Any) -> AsyncIterator[Outside]:
        trust = ssl.create_default_context(cafile=str(certificate[0]))
        async with Outside.open(
            resolver=names,
            may_connect=lambda address: address == ipaddress.ip_address(PUBLIC),
            ssl=options.pop("tls", trust),
            **options,
        ) as way:
            yield way

    return open_


async def test_a_public_address_answers(outside: Open, site: Site, port: int) -> None:
    async with (
        outside(Names(hook=[[PUBLIC]])) as way,
        way.call(
            "POST", f"https://hook.example.com:{port}/x%40?y=%2F", headers={"X-A": "b"}, body=b"{}"
        ) as answer,
    ):
        assert (answer.status, await answer.read(100)) == (200, b"hello")

    [request] = site.seen
    assert (request.method, request.raw_path, request.headers["X-A"]) == (
        "POST",
        "/x%40?y=%2F",
        "b",
    )
    assert site.bodies == [b"{}"]


@pytest.mark.parametrize("found", [[PRIVATE], ["::1"], [PRIVATE, "::1"], ["::ffff:127.0.0.1"]])
async def test_a_name_that_leads_into_the_private_network_is_not_connected_to(
    outside: Open, site: Site, port: int, found: list[str]
) -> None:
    async with outside(Names(hook=[found])) as way:
        with pytest.raises(AddressRefused) as refused:
            async with way.call("GET", f"https://hook.example.com:{port}/"):
                pass
        with pytest.raises(AddressRefused):
            await way.check(f"https://hook.example.com:{port}/")

    assert refused.value.code == "NOT_PUBLIC"
    assert site.seen == []


async def test_a_name_that_changes_its_mind_is_looked_at_each_time(
    outside: Open, site: Site, port: int
) -> None:
    names = Names(hook=[[PUBLIC], [PUBLIC], [PRIVATE]])
    url = f"https://hook.example.com:{port}/"

    async with outside(names, force_close=True) as way:
        await way.check(url)
        async with way.call("GET", url) as answer:
            await answer.read(100)
        with pytest.raises(AddressRefused):
            async with way.call("GET", url):
                pass

    assert (names.asked, len(site.seen)) == (3, 1)


async def test_of_several_addresses_only_public_ones_are_connected_to(
    outside: Open, site: Site, port: int
) -> None:
    async with (
        outside(Names(hook=[[PRIVATE, PUBLIC]])) as way,
        way.call("GET", f"https://hook.example.com:{port}/") as answer,
    ):
        assert answer.status == 200
        with pytest.raises(AddressRefused):
            await way.check(f"https://hook.example.com:{port}/")

    [request] = site.seen
    assert request.transport is None or request.transport.get_extra_info("sockname")[0] == PUBLIC


async def test_addresses_are_refused_before_anybody_is_asked(outside: Open) -> None:
    names = Names()

    async with outside(names) as way:
        for url in ("http://example.com/", f"https://{PRIVATE}/", "nonsense", "https://a:b@c.d"):
            with pytest.raises(AddressRefused):
                async with way.call("GET", url):
                    pass
            with pytest.raises(AddressRefused):
                await way.check(url)

    assert names.asked == 0


async def test_a_redirect_is_an_answer_unless_it_shall_be_followed(
    outside: Open, site: Site, port: int
) -> None:
    site.answer = lambda _: web.Response(status=302, headers={"Location": "/elsewhere"})

    async with (
        outside(Names(hook=[[PUBLIC]])) as way,
        way.call("POST", f"https://hook.example.com:{port}/") as answer,
    ):
        assert answer.status == 302

    assert len(site.seen) == 1


async def test_redirects_are_followed_with_method_and_body_and_without_secrets_elsewhere(
    outside: Open, site: Site, port: int
) -> None:
    places = {"/a": "/b", "/b": f"https://other.example.com:{port}/c"}
    site.answer = lambda request: (
        web.Response(status=308, headers={"Location": places[request.path]})
        if request.path in places
        else web.Response(text="here")
    )

    async with (
        outside(Names(dav=[[PUBLIC]], other=[[PUBLIC]])) as way,
        way.call(
            "PROPFIND",
            f"https://dav.example.com:{port}/a",
            headers={"Authorization": "Basic c2VjcmV0", "Depth": "0"},
            body=b"<x/>",
            redirects=2,
        ) as answer,
    ):
        assert await answer.read(100) == b"here"
        assert answer.url == f"https://other.example.com:{port}/c"

    assert [request.method for request in site.seen] == ["PROPFIND"] * 3
    assert site.bodies == [b"<x/>"] * 3
    assert ["Authorization" in request.headers for request in site.seen] == [True, True, False]
    assert [request.headers["Depth"] for request in site.seen] == ["0"] * 3


async def test_after_303_the_answer_is_fetched(outside: Open, site: Site, port: int) -> None:
    site.answer = lambda request: (
        web.Response(status=303, headers={"Location": "/result"})
        if request.method == "POST"
        else web.Response(text="here")
    )

    async with (
        outside(Names(hook=[[PUBLIC]])) as way,
        way.call("POST", f"https://hook.example.com:{port}/", body=b"x", redirects=1) as answer,
    ):
        assert await answer.read(100) == b"here"

    assert site.bodies == [b"x", b""]


@pytest.mark.parametrize(
    "place",
    [
        "http://other.example.com/",
        f"https://{PRIVATE}/",
        "https://localhost/",
        "https://private.example.com:{port}/",
        "ftp://other.example.com/",
        "https://169.254.169.254/",
        "//[::1]/",
    ],
)
async def test_every_hop_is_checked(outside: Open, site: Site, port: int, place: str) -> None:
    location = place.replace("{port}", str(port))
    site.answer = lambda _: web.Response(status=301, headers={"Location": location})

    async with outside(Names(hook=[[PUBLIC]], private=[[PRIVATE]])) as way:
        with pytest.raises(AddressRefused):
            async with way.call("GET", f"https://hook.example.com:{port}/", redirects=5):
                pass

    assert len(site.seen) == 1


async def test_circles_end(outside: Open, site: Site, port: int) -> None:
    site.answer = lambda _: web.Response(status=302, headers={"Location": "/"})

    async with outside(Names(hook=[[PUBLIC]])) as way:
        with pytest.raises(BadAnswer):
            async with way.call("GET", f"https://hook.example.com:{port}/", redirects=3):
                pass

    assert len(site.seen) == 4


@pytest.mark.parametrize("is_told", [True, False])
async def test_an_answer_that_is_too_large_is_not_read_to_its_end(
    outside: Open, site: Site, port: int, is_told: bool
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if is_told:
            response.content_length = 10**12
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 10_000)
        except ConnectionError:
            return response

    site.answer = endless

    async with outside(Names(feed=[[PUBLIC]])) as way:
        with pytest.raises(BadAnswer):
            async with way.call("GET", f"https://feed.example.com:{port}/") as answer:
                await answer.read(50_000)


async def test_an_answer_of_just_the_size_is_read(outside: Open, site: Site, port: int) -> None:
    site.answer = lambda _: web.Response(body=b"x" * 50_000)

    async with (
        outside(Names(feed=[[PUBLIC]])) as way,
        way.call("GET", f"https://feed.example.com:{port}/") as answer,
    ):
        assert len(await answer.read(50_000)) == 50_000


async def test_a_compressed_answer_is_not_unpacked(outside: Open, site: Site, port: int) -> None:
    site.answer = lambda _: web.Response(body=b"x", headers={"Content-Encoding": "gzip"})

    async with (
        outside(Names(feed=[[PUBLIC]])) as way,
        way.call("GET", f"https://feed.example.com:{port}/") as answer,
    ):
        with pytest.raises(BadAnswer):
            await answer.read(100)

    assert site.seen[0].headers["Accept-Encoding"] == "identity"


async def test_an_answer_that_drips_ends_in_time(outside: Open, site: Site, port: int) -> None:
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        except ConnectionError:
            return response

    site.answer = dripping

    async with asyncio.timeout(20), outside(Names(feed=[[PUBLIC]])) as way:
        with pytest.raises(Unreachable, match="in time"):
            async with way.call("GET", f"https://feed.example.com:{port}/", seconds=0.3) as answer:
                await answer.read(10**6)


async def test_silence_ends_in_time(outside: Open, site: Site, port: int) -> None:
    site.answer = lambda _: asyncio.Event().wait()

    async with asyncio.timeout(20), outside(Names(hook=[[PUBLIC]])) as way:
        with pytest.raises(Unreachable, match="in time"):
            async with way.call("GET", f"https://hook.example.com:{port}/", seconds=0.3):
                pass


async def test_who_does_not_answer_properly_is_unreachable(outside: Open, port: int) -> None:
    names = Names(hook=[[PUBLIC]], dead=[[PUBLIC]], www=[[PUBLIC]])
    with socket.socket() as silent:
        silent.bind((PUBLIC, 0))
        number = silent.getsockname()[1]
        async with outside(names) as way:
            for url, why in (
                (f"https://unknown.example.com:{port}/", "name is not known"),
                (f"https://dead.example.com:{number}/", "no connection"),
            ):
                with pytest.raises(Unreachable, match=why):
                    async with way.call("GET", url):
                        pass
            with pytest.raises(AddressRefused) as refused:
                await way.check("https://unknown.example.com/")
    assert refused.value.code == "UNKNOWN_HOST"


async def test_a_certificate_of_somebody_else_is_not_accepted(outside: Open, port: int) -> None:
    async with outside(Names(hook=[[PUBLIC]]), tls=ssl.create_default_context()) as way:
        with pytest.raises(Unreachable, match="certificate"):
            async with way.call("GET", f"https://hook.example.com:{port}/"):
                pass


async def test_errors_of_the_caller_stay_what_they_are(outside: Open, port: int) -> None:
    async with outside(Names(hook=[[PUBLIC]])) as way:
        for error in (ValueError, OSError, TimeoutError, KeyError):
            with pytest.raises(error):
                async with way.call("GET", f"https://hook.example.com:{port}/"):
                    raise error


async def test_an_opened_host_is_called_without_tls_and_wherever_it_is(outside: Open) -> None:
    site = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    listening = socket.create_server((PRIVATE, 0))
    await web.SockSite(runner, listening).start()
    number = listening.getsockname()[1]

    async with outside(
        Names(dev=[[PRIVATE]], dev2=[[PRIVATE]]), opened=opened_hosts(f"dev.example.com:{number}")
    ) as way:
        async with way.call("GET", f"http://dev.example.com:{number}/") as answer:
            assert await answer.read(100) == b"hello"
        await way.check(f"http://dev.example.com:{number}/")
        with pytest.raises(AddressRefused):
            async with way.call("GET", f"http://dev2.example.com:{number}/"):
                pass
    await runner.cleanup()


def test_opened_hosts_are_names_with_or_without_a_port() -> None:
    assert opened_hosts("") == frozenset()
    assert opened_hosts("Localhost:9000, receiver.test") == {"localhost:9000", "receiver.test"}
    for text in ("http://localhost", "localhost/x", "a@b", "localhost:many", ":80"):
        with pytest.raises(ValueError, match=r"name or name:port|[Pp]ort|host"):
            opened_hosts(text)
