"""Who may do what at the double: codes, access tokens, and refresh tokens that rotate."""

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .mailbox import Json, Mailbox

CLIENT_ID, CLIENT_SECRET = "our-application", "the-application's-secret"
LASTS = timedelta(minutes=75)
GRACE = timedelta(minutes=1)
SCOPES = "openid profile User.Read Calendars.ReadWrite"


@dataclass
class _Code:
    mailbox: Mailbox
    challenge: str
    redirect_uri: str
    scope: str


@dataclass
class _Refresh:
    mailbox: Mailbox
    scope: str
    replaced_at: datetime | None = None


class Refused(Exception):
    def __init__(self, error: str, description: str = "") -> None:
        super().__init__(error)
        self.answer = {"error": error, "error_description": description, "error_codes": []}


class Access:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, tuple[Mailbox, datetime]] = {}
        self._refresh: dict[str, _Refresh] = {}
        self.renewals = 0

    def consent(
        self, mailbox: Mailbox, *, challenge: str, redirect_uri: str, scope: str = SCOPES
    ) -> str:
        """The code with which the browser comes back."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(mailbox, challenge, redirect_uri, scope)
        return code

    def grant(self, mailbox: Mailbox, scope: str = SCOPES) -> Json:
        """What the token endpoint answers."""
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._access[access] = (mailbox, self._now() + LASTS)
        self._refresh[refresh] = _Refresh(mailbox, scope)
        return {
            "token_type": "Bearer",
            "scope": scope,
            "expires_in": int(LASTS.total_seconds()),
            "access_token": access,
            "refresh_token": refresh,
        }

    def token(self, form: Mapping[str, str]) -> Json:
        """Raises Refused."""
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise Refused("invalid_client", "AADSTS7000215: Invalid client secret provided.")
        if form.get("grant_type") == "authorization_code":
            return self._exchange(form)
        if form.get("grant_type") == "refresh_token":
            return self._renew(form)
        raise Refused("unsupported_grant_type")

    def mailbox_of(self, authorization: str) -> Mailbox | None:
        found = self._access.get(authorization.removeprefix("Bearer "))
        return found[0] if found and self._now() < found[1] else None

    def revoke(self, mailbox: Mailbox) -> None:
        """The person, or an administrator, takes it all back."""
        self.forget_access_tokens(mailbox)
        self._refresh = {
            token: each for token, each in self._refresh.items() if each.mailbox is not mailbox
        }

    def forget_access_tokens(self, mailbox: Mailbox) -> None:
        self._access = {
            token: each for token, each in self._access.items() if each[0] is not mailbox
        }

    def _exchange(self, form: Mapping[str, str]) -> Json:
        code = self._codes.pop(form.get("code", ""), None)
        verifier = form.get("code_verifier", "").encode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).decode().rstrip("=")
        if code is None or code.challenge != challenge:
            raise Refused("invalid_grant", "AADSTS501481: The Code_Verifier does not match.")
        if code.redirect_uri != form.get("redirect_uri"):
            raise Refused("invalid_client", "AADSTS50011: The redirect URI does not match.")
        return self.grant(code.mailbox, code.scope)

    def _renew(self, form: Mapping[str, str]) -> Json:
        known = self._refresh.get(form.get("refresh_token", ""))
        is_late = known and known.replaced_at and self._now() > known.replaced_at + GRACE
        if known is None or is_late:
            raise Refused("invalid_grant", "AADSTS70000: The grant is invalid or was revoked.")
        known.replaced_at = known.replaced_at or self._now()
        self.renewals += 1
        return self.grant(known.mailbox, known.scope)
