"""Secret links under which a calendar application, which has no bearer token, reads a feed."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from calendar_sync.models import FeedLink, Provider
from calendar_sync.refusals import FeedLinkNotFound, ProviderNotFound, TooManyFeedLinks
from shared.ids import new_id

MOST_LINKS = 20
"""Live links of one provider: one for each calendar application, with room to spare."""

_PURPOSE = b"provider's calendar feed\0"
"""Keeps a token from being good for anything else that tokens are ever made for."""

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
    db: AsyncSession, provider_id: UUID, *, label: str | None, secret: str
) -> FeedLink:
    """A new live link; TooManyFeedLinks when the provider has enough of them."""
    # One at a time for each provider, so that the count holds.
    await db.execute(
        select(Provider.id).where(Provider.id == provider_id).with_for_update(key_share=True)
    )
    if len(await live_links(db, provider_id)) >= MOST_LINKS:
        raise TooManyFeedLinks(f"{MOST_LINKS} links exist; revoke one that is not needed any more")
    link_id = new_id()
    link = FeedLink(
        id=link_id,
        provider_id=provider_id,
        label=label,
        token_hash=hash_of(token_of(link_id, secret)),
    )
    db.add(link)
    await db.flush()
    return link


async def live_links(db: AsyncSession, provider_id: UUID) -> Sequence[FeedLink]:
    """The links that have not been revoked, oldest first; ProviderNotFound for no provider."""
    provider = await db.get(Provider, provider_id)
    if provider is None or provider.is_deleted:
        raise ProviderNotFound
    wanted = select(FeedLink).where(
        FeedLink.provider_id == provider_id, FeedLink.revoked_at.is_(None)
    )
    return (await db.scalars(wanted.order_by(FeedLink.id))).all()


async def revoke_link(db: AsyncSession, provider_id: UUID, link_id: UUID) -> None:
    """The link opens nothing any more; revoking it twice is the same as once."""
    revoked = await db.scalar(
        update(FeedLink)
        .where(FeedLink.id == link_id, FeedLink.provider_id == provider_id)
        .values(revoked_at=func.coalesce(FeedLink.revoked_at, func.now()))
        .returning(FeedLink.id)
    )
    if revoked is None:
        raise FeedLinkNotFound
