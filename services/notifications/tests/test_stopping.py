"""A worker that is told to stop ends what has left, and gives what has not to others at once."""

import asyncio
from typing import Any

import pytest

from notifications import sender as sender_module
from shared.events.booking import BookingConfirmed

from .builders import an_appointment
from .conftest import MakeSender, Rows, Running, Tell, Until
from .mail_host import MailHost, message_ids

pytestmark = pytest.mark.usefixtures("known_people")


async def statuses(jobs: Rows) -> list[str]:
    return sorted(job["status"] for job in await jobs())


async def test_what_has_not_left_goes_to_others_at_once(
    tell: Tell,
    make_sender: MakeSender,
    jobs: Rows,
    mail_host: MailHost,
    running: Running,
    until: Until,
) -> None:
    await tell(an_appointment(BookingConfirmed))
    mail_host.gate.clear()
    stopped = asyncio.create_task(make_sender(most_at_once=1).run())

    async def both_in_hand() -> bool:
        return await statuses(jobs) == ["sending"] * 2 and len(mail_host.mails) == 1

    async def one_handed_back() -> bool:
        return await statuses(jobs) == ["queued", "sending"]

    await until(both_in_hand)
    stopped.cancel()
    # The other is still on its way, for as long as the gate is closed.
    await until(one_handed_back)

    async def all_sent() -> bool:
        return await statuses(jobs) == ["sent"] * 2

    mail_host.gate.set()
    await asyncio.wait({stopped}, timeout=20)
    async with running(make_sender().run()):
        await until(all_sent)
    assert stopped.cancelled()
    assert len(mail_host.mails) == len(message_ids(mail_host.mails)) == 2


async def test_who_has_no_more_time_says_that_nobody_knows(
    tell: Tell,
    make_sender: MakeSender,
    jobs: Rows,
    delivery_statuses: Any,
    mail_host: MailHost,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender_module, "_GRACE", 0.1)
    await tell(an_appointment(BookingConfirmed))
    mail_host.gate.clear()
    stopped = asyncio.create_task(make_sender().run())
    await until(lambda: len(mail_host.mails) == 2)

    stopped.cancel()
    await asyncio.wait({stopped}, timeout=20)

    assert stopped.cancelled()
    assert await delivery_statuses() == ["unknown"] * 2
    assert await statuses(jobs) == ["queued"] * 2, "no lease has to run out first"
