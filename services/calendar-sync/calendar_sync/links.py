"""Secret links under which a calendar application, which has no bearer token, reads a feed."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from calendar_sync.access import missing
from calendar_sync.models import FeedLink, Provider
from calendar_sync.refusals import FeedLinkNotFound, TooManyFeedLinks
from shared.auth import Principal, Role
from shared.ids import new_id

MOST_LINKS = 20
"""Live links of one owner: one for each calendar application, with room to spare."""

_PURPOSE = b"provider's calendar feed\0"
"""Keeps a token from being good for anything else that tokens are ever made for. Patients' links
have the same: every link of before was a provider's, and its token is made anew from this."""

_BYTES = 24
"""192 bits, which are 32 characters."""


def token_of(link_id: UUID, secret: str) -> str:
    """The token of a link: made anew when a request is repeated, so that none is ever stored."""
    digest = hmac.digest(secret.encode(), _PURPOSE + link_id.bytes, "sha256")
    return urlsafe_b64encode(digest[:_BYTES]).decode()


def hash_of(token: str) -> bytes:
    """What is stored of a token: enough to recognise it, useless for using it.

    Tokens are looked up by it, so how long that takes tells nothing about any token.
    """
    return hashlib.sha256(_PURPOSE + token.encode()).digest()


async def create_link(
    db: AsyncSession, owner: Principal, *, label: str | None, detailed: bool, secret: str
) -> FeedLink:
    """A new live link; TooManyFeedLinks when the owner has enough of them."""
    # One at a time for each owner, so that the count holds.
    await db.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"feed links of {owner.id}"))))
    if len(await live_links(db, owner)) >= MOST_LINKS:
        raise TooManyFeedLinks(f"{MOST_LINKS} links exist; revoke one that is not needed any more")
    link_id = new_id()
    link = FeedLink(
        id=link_id,
        label=label,
        detailed=detailed,
        token_hash=hash_of(token_of(link_id, secret)),
        **{_column(owner).key: owner.id},
    )
    db.add(link)
    await db.flush()
    return link


async def live_links(db: AsyncSession, owner: Principal) -> Sequence[FeedLink]:
    """The links that have not been revoked, oldest first; ProviderNotFound for no provider."""
    if owner.role is Role.PROVIDER:
        provider = await db.get(Provider, owner.id)
        if provider is None or provider.is_deleted:
            raise missing(owner)
    wanted = select(FeedLink).where(_column(owner) == owner.id, FeedLink.revoked_at.is_(None))
    return (await db.scalars(wanted.order_by(FeedLink.id))).all()


async def revoke_link(db: AsyncSession, owner: Principal, link_id: UUID) -> None:
    """The link opens nothing any more; revoking it twice is the same as once."""
    revoked = await db.scalar(
        update(FeedLink)
        .where(FeedLink.id == link_id, _column(owner) == owner.id)
        .values(revoked_at=func.coalesce(FeedLink.revoked_at, func.now()))
        .returning(FeedLink.id)
    )
    if revoked is None:
        raise FeedLinkNotFound


def _column(owner: Principal) -> InstrumentedAttribute[UUID | None]:
    return FeedLink.provider_id if owner.role is Role.PROVIDER else FeedLink.user_id
