"""OAuth 2 as calendars use it (RFC 6749, 7636, 9700): a consent, tokens, and their renewal."""

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

import orjson

from calendar_sync.calendars.contract import (
    AccessGone,
    Account,
    Credentials,
    Kind,
    Refused,
    Save,
    Temporary,
)
from shared.http import AsyncClient, HTTPError, Response
from shared.observability import logger
from shared.retry_after import retry_after

_CALL_SECONDS = 12.0
_EARLY = timedelta(minutes=1)
"""A token is renewed so long before its end, so that none dies on its way."""

_DEFAULT_LIFE = 3600
_LONGEST_LIFE = 30 * 24 * 3600
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_GONE = frozenset({"invalid_grant", "interaction_required", "consent_required"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What this platform is to a provider, and what it asks for."""

    client_id: str
    client_secret: str = field(repr=False)
    authorize_url: str
    token_url: str
    revoke_url: str | None
    """None where access cannot be given back."""
    scopes: tuple[str, ...]
    needed_scopes: tuple[str, ...]
    """Those among ``scopes`` without which there is no connection."""
    consent_parameters: Mapping[str, str]
    """Further ones of the authorize URL."""


class OAuth:
    """The provider's side of consents and tokens. Every call raises Temporary."""

    def __init__(self, http: AsyncClient, registration: Registration) -> None:
        self.http = http
        self._registration = registration

    def authorization_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where the owner of the account says yes; ``challenge`` is PKCE's, by S256."""
        known = self._registration
        parameters = {
            "client_id": known.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": " ".join(known.scopes),
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **known.consent_parameters,
        }
        return f"{known.authorize_url}?{urlencode(parameters)}"

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> Credentials:
        """The first credentials. Raises Refused: ``code_refused``, ``scopes_missing`` where the
        owner has not agreed to all that is needed, ``no_refresh_token``."""
        try:
            answer = await self._ask_for_tokens(
                {
                    "grant_type": "authorization_code",
                    "code": code,
                    "code_verifier": verifier,
                    "redirect_uri": redirect_uri,
                }
            )
        except AccessGone as error:
            raise Refused("code_refused") from error
        self._check_scopes(answer)
        if not isinstance(answer.get("refresh_token"), str):
            raise Refused("no_refresh_token")
        return _credentials(answer, {})

    async def renewed(self, credentials: Credentials) -> Credentials:
        """Raises AccessGone when they will never be good again."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credentials.get("refresh_token", ""),
        }
        return _credentials(await self._ask_for_tokens(form), credentials)

    async def revoke(self, credentials: Credentials) -> None:
        """The access is given back, or was gone already."""
        url = self._registration.revoke_url
        token = credentials.get("refresh_token")
        if url is not None and token:
            answer = await answered(lambda: self.http.post(url, data={"token": token}))
            if answer.status_code == 429 or answer.status_code >= 500:
                raise Temporary("provider_busy", retry_after(answer.headers))

    async def _ask_for_tokens(self, form: Mapping[str, str]) -> dict[str, Any]:
        known = self._registration
        own = {"client_id": known.client_id, "client_secret": known.client_secret}
        response = await answered(lambda: self.http.post(known.token_url, data={**form, **own}))
        answer = json_of(response)
        if response.is_success:
            return answer
        if response.status_code == 429 or response.status_code >= 500:
            raise Temporary("provider_busy", retry_after(response.headers))
        if str(answer.get("error")) in _GONE:
            raise AccessGone("invalid_grant")
        # Whatever else it is, it is about this platform's registration and not about the account.
        logger.error("calendar_oauth_refused", status=response.status_code)
        raise Temporary("oauth_client_refused")

    def _check_scopes(self, answer: Mapping[str, Any]) -> None:
        granted = answer.get("scope")
        if granted is None:  # RFC 6749, 5.1: then it is what was asked for
            return
        names = {_short(scope) for scope in str(granted).split()}
        if not names.issuperset(map(_short, self._registration.needed_scopes)):
            raise Refused("scopes_missing")


class Access:
    """The tokens of one open account, with which requests are made in its owner's name."""

    def __init__(self, oauth: OAuth, credentials: Credentials, save: Save) -> None:
        self._oauth = oauth
        self._credentials = credentials
        self._save = save
        self._one_at_a_time = asyncio.Lock()

    async def send(self, method: str, url: str, **options: Any) -> Response:
        """The answer; after a 401 that to a second try with a new token. ``options`` are httpx's.

        Raises Temporary when there is no answer, and AccessGone when there is no token.
        """
        token = await self._token()
        response = await self._send(token, method, url, options)
        if response.status_code == 401:
            token = await self._token(instead_of=token)
            response = await self._send(token, method, url, options)
        return response

    async def revoke(self) -> None:
        """Gives the access back."""
        await self._oauth.revoke(self._credentials)

    async def _send(
        self, token: str, method: str, url: str, options: Mapping[str, Any]
    ) -> Response:
        headers = {**options.get("headers", {}), "Authorization": f"Bearer {token}"}
        call = {**options, "headers": headers}
        return await answered(lambda: self._oauth.http.request(method, url, **call))

    async def _token(self, *, instead_of: str | None = None) -> str:
        async with self._one_at_a_time:
            token = self._credentials.get("access_token")
            if token is None or token == instead_of or _is_old(self._credentials):
                renewed = await self._oauth.renewed(self._credentials)
                await self._save(renewed)
                self._credentials = renewed
            return self._credentials["access_token"]


class ConsentedAccount(Account, Protocol):
    """An account that was opened with a consent."""

    async def owner(self) -> str:
        """The address by which its owner knows the account; the same each time."""
        ...


class ConsentedKind(Kind, Protocol):
    """A kind of calendar to which one is led by a consent."""

    oauth: OAuth

    def open(
        self, credentials: Credentials, save: Save
    ) -> AbstractAsyncContextManager[ConsentedAccount]: ...


async def answered(call: Callable[[], Any]) -> Response:
    """The answer to one request, whole; raises Temporary when there is none in time."""
    try:
        async with asyncio.timeout(_CALL_SECONDS):
            response: Response = await call()
            return response
    except (HTTPError, TimeoutError) as error:
        raise Temporary("unreachable") from error


def json_of(response: Response) -> dict[str, Any]:
    """The object that the answer holds, and an empty one when a refusal holds none; raises
    Temporary for a success that makes no sense."""
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        return body
    if response.is_success:
        raise Temporary("answer_unreadable")
    return {}


def _credentials(answer: Mapping[str, Any], known: Credentials) -> Credentials:
    token, life = answer.get("access_token"), answer.get("expires_in", _DEFAULT_LIFE)
    # A provider that does not rotate them tells a refresh token once.
    refresh = answer.get("refresh_token") or known.get("refresh_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token) or not isinstance(refresh, str):
        raise Temporary("answer_unreadable")
    seconds = life if isinstance(life, int) and 0 <= life <= _LONGEST_LIFE else _DEFAULT_LIFE
    ends_at = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "access_token": token,
        "refresh_token": refresh,
        "expires_at": str(int(ends_at.timestamp())),
    }


def _is_old(credentials: Credentials) -> bool:
    # By this machine's clock: when that is wrong, a token is renewed too early or after a 401.
    early = datetime.now(UTC) + _EARLY
    return early.timestamp() >= int(credentials.get("expires_at", "0"))


def _short(scope: str) -> str:
    """``calendar.events`` of ``https://www.googleapis.com/auth/calendar.events``: some providers
    answer with the short name to the long one."""
    return scope.rpartition("/")[2].lower()
