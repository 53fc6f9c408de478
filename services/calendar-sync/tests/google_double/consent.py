"""Google's accounts as far as OAuth goes: consents, codes, tokens, and what ends them."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from aiohttp import web

_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


@dataclass
class Grant:
    """What one person has allowed our client."""

    email: str
    scopes: str
    refresh_token: str
    access_tokens: dict[str, datetime] = field(default_factory=dict)
    is_revoked: bool = False


@dataclass
class Code:
    grant: Grant
    redirect_uri: str
    challenge: str | None
    tells_refresh_token: bool
    is_used: bool = False


class Refusal(Exception):
    def __init__(self, status: int, error: str, description: str = "") -> None:
        super().__init__(error)
        self.status, self.body = status, {"error": error, "error_description": description}


@dataclass
class Consents:
    """Whoever comes to the consent screen is ``visitor``, who agrees to all but ``unticked``."""

    client_id: str
    client_secret: str
    redirect_uris: set[str] = field(default_factory=set)
    visitor: str = "doctor@example.com"
    unticked: set[str] = field(default_factory=set)
    denies: bool = False
    token_life: int = 3600
    clock_ahead: timedelta = timedelta()
    refreshes: int = 0
    grants: list[Grant] = field(default_factory=list)
    codes: dict[str, Code] = field(default_factory=dict)

    def grant(self, email: str, scopes: str) -> Grant:
        grant = Grant(email, scopes, f"1//{uuid4().hex}")
        self.grants.append(grant)
        return grant

    def new_token(self, grant: Grant, now: datetime) -> str:
        token = f"ya29.{uuid4().hex}"
        grant.access_tokens[token] = now + timedelta(seconds=self.token_life)
        return token

    def grant_behind(self, token: str, now: datetime) -> Grant | None:
        """Whose token it is, while it is good."""
        for grant in self.grants:
            ends_at = grant.access_tokens.get(token)
            if ends_at is not None and not grant.is_revoked and now < ends_at:
                return grant
        return None

    def revoke(self, email: str) -> None:
        """As the owner does it on Google's own page."""
        for grant in self.grants:
            grant.is_revoked = grant.is_revoked or grant.email == email

    async def authorize(self, request: web.Request) -> web.Response:
        """The consent screen, on which somebody has already decided."""
        wanted = request.query
        redirect_uri = wanted.get("redirect_uri", "")
        if wanted.get("client_id") != self.client_id:
            return web.Response(status=401, text="Error 401: invalid_client")
        if redirect_uri not in self.redirect_uris:
            return web.Response(status=400, text="Error 400: redirect_uri_mismatch")
        if wanted.get("response_type") != "code" or not wanted.get("scope"):
            return web.Response(status=400, text="Error 400: invalid_request")
        if wanted.get("code_challenge_method", "S256") != "S256":
            return web.Response(status=400, text="Error 400: invalid_request")
        answer = {"state": wanted.get("state", "")}
        if self.denies:
            answer["error"] = "access_denied"
        else:
            answer |= self._agreed(request)
        place = f"{redirect_uri}?{urlencode(answer)}"
        return web.Response(status=302, headers={"Location": place})

    def _agreed(self, request: web.Request) -> dict[str, str]:
        wanted = request.query
        known = any(each.email == self.visitor and not each.is_revoked for each in self.grants)
        scopes = [each for each in wanted["scope"].split() if each not in self.unticked]
        is_offline = wanted.get("access_type") == "offline"
        code = Code(
            self.grant(self.visitor, " ".join(scopes)),
            wanted["redirect_uri"],
            wanted.get("code_challenge"),
            is_offline and (not known or wanted.get("prompt") == "consent"),
        )
        name = f"4/{uuid4().hex}"
        self.codes[name] = code
        return {"code": name, "scope": " ".join(scopes)}

    def token(self, form: dict[str, Any], now: datetime) -> dict[str, Any]:
        if form.get("client_id") != self.client_id or (
            form.get("client_secret") != self.client_secret
        ):
            raise Refusal(401, "invalid_client", "Unauthorized")
        match form.get("grant_type"):
            case "authorization_code":
                return self._first_tokens(form, now)
            case "refresh_token":
                return self._refreshed(form, now)
            case _:
                raise Refusal(400, "unsupported_grant_type", "Invalid grant_type")

    def _first_tokens(self, form: dict[str, Any], now: datetime) -> dict[str, Any]:
        code = self.codes.get(form.get("code", ""))
        if code is None or code.is_used:
            raise Refusal(400, "invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise Refusal(400, "redirect_uri_mismatch", "Bad Request")
        verifier = form.get("code_verifier", "")
        if code.challenge is not None and (
            not _VERIFIER.fullmatch(verifier) or challenge_of(verifier) != code.challenge
        ):
            raise Refusal(400, "invalid_grant", "Invalid code verifier.")
        code.is_used = True
        answer = self._tokens(code.grant, now)
        if code.tells_refresh_token:
            answer["refresh_token"] = code.grant.refresh_token
        return answer

    def _refreshed(self, form: dict[str, Any], now: datetime) -> dict[str, Any]:
        self.refreshes += 1
        for grant in self.grants:
            if grant.refresh_token == form.get("refresh_token") and not grant.is_revoked:
                return self._tokens(grant, now)
        raise Refusal(400, "invalid_grant", "Token has been expired or revoked.")

    def _tokens(self, grant: Grant, now: datetime) -> dict[str, Any]:
        return {
            "access_token": self.new_token(grant, now),
            "expires_in": self.token_life - 1,
            "scope": grant.scopes,
            "token_type": "Bearer",
        }

    def take_back(self, token: str) -> None:
        """The revocation endpoint."""
        for grant in self.grants:
            if token == grant.refresh_token or token in grant.access_tokens:
                if grant.is_revoked:
                    break
                grant.is_revoked = True
                return
        raise Refusal(400, "invalid_token", "Token expired or revoked")


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
