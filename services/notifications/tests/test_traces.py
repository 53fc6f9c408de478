"""A mail belongs to the trace of what it tells, and the trace says nothing of the mail."""

from datetime import timedelta
from typing import Any

from aiohttp import web

from notifications.channels.http import HttpCalls
from shared.events.booking import BookingConfirmed
from shared.observability import story
from shared.observability.attributes import ALLOWED
from shared.testing.spans import recorded

from .builders import PATIENT_EMAIL, PROVIDER_EMAIL, a_patient, a_provider, an_appointment
from .conftest import MakeSender, Rows, Running, Tell, Until
from .mail_host import MailHost

_PEOPLE = {PATIENT_EMAIL, PROVIDER_EMAIL, "Maria", "Eleni", "@"}


async def test_a_mail_is_a_step_of_the_story_that_planned_it(
    tell: Tell, make_sender: MakeSender, running: Running, mail_host: MailHost, until: Until
) -> None:
    await tell(a_patient(), a_provider())
    with recorded() as seen:
        with story("process booking.confirmed", "consumer") as cause:
            await tell(an_appointment(BookingConfirmed))
        async with running(make_sender().run()):
            await until(lambda: len(seen.named("notify email")) == 2)

    assert len(mail_host.mails) == 2
    for mail in seen.named("send email"):
        notify, process = seen.above(mail)
        assert (mail.kind, notify.name) == ("client", "notify email")
        assert process.span_id == cause.span_id
        assert mail.attributes == {"medic.delivery.status": "sent"}
        assert notify.attributes == {
            "medic.notification.kind": "confirmed",
            "medic.notification.channel": "email",
        }
    assert not [each for each in _PEOPLE if each in seen.told()]
    assert all(span.attributes.keys() <= ALLOWED for span in seen.spans)


async def test_a_refused_mail_fails_in_its_trace_without_the_servers_words(
    tell: Tell,
    make_sender: MakeSender,
    running: Running,
    mail_host: MailHost,
    until: Until,
    deliveries: Rows,
) -> None:
    await tell(a_patient(), a_provider())
    mail_host.recipient_reply[PATIENT_EMAIL] = [f"550 no such user {PATIENT_EMAIL}"]
    with recorded() as seen:
        with story("process"):
            await tell(an_appointment(BookingConfirmed))
        async with running(make_sender().run()):
            await until(lambda: len(seen.named("notify email")) == 2)

    [refused] = [span for span in seen.named("send email") if span.has_failed]
    assert refused.attributes == {"medic.delivery.status": "refused", "error.type": "refused"}
    assert not [each for each in _PEOPLE if each in seen.told()]


async def test_a_call_to_a_carrier_is_a_span_without_its_path() -> None:
    received: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        received.append(request)
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/{rest:.*}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    calls = HttpCalls()
    try:
        with recorded() as seen, story("notify sms"):
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/AC1/Messages/+302101234567"
            answer = await calls.call("POST", url, data={"To": "+302101234567"})
    finally:
        await calls.close()
        await runner.cleanup()

    assert (answer.status, answer.retry_after) == (200, timedelta())
    assert "traceparent" not in received[0].headers
    assert seen.one("POST").attributes == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "http.response.status_code": 200,
    }
    assert "210123" not in seen.told()
