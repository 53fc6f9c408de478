"""The issuer's keys: fetched when needed, renewed in time, kept while the issuer is away."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.auth import InvalidToken
from shared.auth.keys import Fetched, KeySet, SigningKeys, from_file, from_url, max_age_of
from shared.auth.users import UserTokens
from shared.errors import Unavailable
from shared.http import MockTransport, Request, Response


class Issuer:
    """An issuer's key endpoint, and the clock of those who ask it."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.names = ["one"]
        self.asked = 0
        self.is_away = False
        self.now = 1000.0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    def document(self) -> bytes:
        return json.dumps({"keys": [self._public | {"kid": name} for name in self.names]}).encode()

    async def fetch(self) -> Fetched:
        self.asked += 1
        await self.may_answer.wait()
        if self.is_away:
            raise ConnectionRefusedError
        return Fetched(self.document(), 600)

    def keys(self) -> SigningKeys:
        return SigningKeys(self.fetch, clock=lambda: self.now)


@pytest.fixture
def issuer(signing_key: rsa.RSAPrivateKey) -> Issuer:
    return Issuer(signing_key)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 -- of things that have no event
            await asyncio.sleep(0)


async def test_many_who_need_keys_share_one_fetch(issuer: Issuer) -> None:
    keys = issuer.keys()

    found = await asyncio.gather(*(keys.find("one", "RS256") for _ in range(50)))

    assert all(found)
    assert issuer.asked == 1


async def test_an_unknown_key_is_looked_for_at_most_once_in_30_s(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("one", "RS256")
    issuer.now += 31

    unknown = [await keys.find(f"made up {number}", "RS256") for number in range(20)]

    assert unknown == [None] * 20
    assert issuer.asked == 2


async def test_a_new_key_is_found_at_once_when_the_last_fetch_is_30_s_ago(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("one", "RS256")
    version = keys.version
    issuer.names = ["two"]
    issuer.now += 31

    assert await keys.find("two", "RS256") is not None
    assert await keys.find("one", "RS256") is None
    assert keys.version != version, "tokens of the old key would stay accepted"


async def test_tokens_of_a_withdrawn_key_are_refused(
    issuer: Issuer, signing_key: rsa.RSAPrivateKey
) -> None:
    keys = issuer.keys()
    tokens = UserTokens(keys, issuer="issuer", audience="medic", role_claim="role")
    now = int(time.time())
    claims = {"iss": "issuer", "aud": "medic", "sub": str(uuid4()), "role": "patient"}
    token = jwt.encode(
        claims | {"iat": now, "exp": now + 600}, signing_key, "RS256", headers={"kid": "one"}
    )
    await tokens.verify(token)
    await tokens.verify(token)
    issuer.names = ["two"]
    issuer.now += 601

    await tokens.verify(token)  # still, while the new keys are on their way
    await until(lambda: keys.version == 2)

    with pytest.raises(InvalidToken):
        await tokens.verify(token)


async def test_a_wrong_algorithm_does_not_make_us_fetch(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("one", "RS256")
    issuer.now += 31

    assert await keys.find("one", "ES256") is None
    assert issuer.asked == 1


async def test_old_keys_serve_while_the_issuer_is_away(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("one", "RS256")
    issuer.is_away = True
    issuer.now += 100_000

    keys.keep_fresh()
    await until(lambda: issuer.asked == 2)

    assert await keys.find("one", "RS256") is not None


async def test_keys_past_their_age_are_renewed_without_waiting(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("one", "RS256")
    issuer.may_answer.clear()
    issuer.names = ["two"]
    issuer.now += 601

    keys.keep_fresh()
    keys.keep_fresh()
    meanwhile = await keys.find("one", "RS256")
    issuer.may_answer.set()
    await until(lambda: keys.version == 2)

    assert meanwhile is not None
    assert issuer.asked == 2


async def test_without_any_keys_nothing_can_be_judged(issuer: Issuer) -> None:
    issuer.is_away = True
    keys = issuer.keys()

    for _ in range(10):
        with pytest.raises(Unavailable):
            await keys.find("one", "RS256")
    asked_while_away = issuer.asked
    issuer.is_away = False
    issuer.now += 3

    assert asked_while_away == 1, "an outage would become a storm of requests"
    assert await keys.find("one", "RS256") is not None


async def test_one_who_gives_up_waiting_does_not_stop_the_others(issuer: Issuer) -> None:
    keys = issuer.keys()
    issuer.may_answer.clear()
    impatient = asyncio.create_task(keys.find("one", "RS256"))
    patient = asyncio.create_task(keys.find("one", "RS256"))
    await until(lambda: issuer.asked == 1)

    impatient.cancel()
    await asyncio.wait({impatient})
    issuer.may_answer.set()

    assert await patient is not None


async def test_a_document_without_keys_changes_nothing(issuer: Issuer) -> None:
    keys = issuer.keys()
    await keys.find("one", "RS256")
    issuer.names = []
    issuer.now += 31

    assert await keys.find("two", "RS256") is None
    assert await keys.find("one", "RS256") is not None


def test_only_public_keys_for_signatures_are_used(signing_key: rsa.RSAPrivateKey) -> None:
    algorithm = jwt.algorithms.RSAAlgorithm
    public = algorithm.to_jwk(signing_key.public_key(), as_dict=True)
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    entries: list[Any] = [
        public | {"kid": "good"},
        public | {"kid": "good", "n": "AQAB"},
        public | {"kid": "for encryption", "use": "enc"},
        public | {"kid": "another algorithm", "alg": "PS256"},
        public | {"kid": "symmetric algorithm", "alg": "HS256"},
        algorithm.to_jwk(signing_key, as_dict=True) | {"kid": "private"},
        algorithm.to_jwk(weak.public_key(), as_dict=True) | {"kid": "weak"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared secret", "alg": "HS256"},
        {"kty": "RSA", "kid": "broken"},
        "nonsense",
    ]

    keys = KeySet(json.dumps({"keys": entries}).encode())

    assert keys.ids == {"good"}


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": []}', b"\xff"])
def test_other_documents_are_refused(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- whatever it says
        KeySet(document)


async def test_a_file_is_read_again(issuer: Issuer, tmp_path: Any) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(issuer.document())
    fetch = from_file(path)
    first = await fetch()
    issuer.names = ["two"]
    path.write_bytes(issuer.document())

    assert (await fetch()).document != first.document


async def test_the_issuer_says_how_long_its_keys_are_good(issuer: Issuer) -> None:
    def answer(request: Request) -> Response:
        headers = {"Cache-Control": "public, max-age=900", "Age": "100"}
        return Response(200, content=issuer.document(), headers=headers)

    fetched = await from_url("https://issuer.test/jwks", transport=MockTransport(answer))()

    assert fetched == Fetched(issuer.document(), 800)


@pytest.mark.parametrize("status", [301, 404, 500])
async def test_another_answer_is_no_document(issuer: Issuer, status: int) -> None:
    transport = MockTransport(lambda _: Response(status, content=issuer.document()))

    with pytest.raises(ValueError, match=str(status)):
        await from_url("https://issuer.test/jwks", transport=transport)()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 300),
        ("no-store", 300),
        ("max-age=0", 30),
        ("max-age=600", 600),
        ("public,max-age=600", 600),
        ("max-age=999999999", 86_400),
        ("s-maxage=600", 300),
        ("max-age=x", 300),
    ],
)
def test_ages_are_kept_within_reason(header: str, seconds: float) -> None:
    assert max_age_of({"cache-control": header}) == seconds
