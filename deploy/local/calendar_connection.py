"""The demo provider whose own calendar is connected, through the public API like anybody's."""

from dataclasses import dataclass

from local.api import Api
from local.console import WentWrong
from local.demo_data import Provider
from local.radicale import USER, Radicale


@dataclass(frozen=True)
class CalendarConnection:
    """A provider and their calendar, kept alike in both directions."""

    provider: Provider
    radicale: Radicale
    id: str

    @property
    def path(self) -> str:
        return f"/v1/providers/{self.provider.id}/calendar-connections/{self.id}"


async def connect(api: Api, provider: Provider, radicale: Radicale) -> CalendarConnection:
    """Connected once, however often this folder is run; a server that has moved to another port
    takes the place of what it was."""
    await radicale.provide_calendar()
    path = f"/v1/providers/{provider.id}/calendar-connections"
    account = {
        "kind": "caldav",
        "url": radicale.url,
        "username": USER,
        "password": radicale.password,
    }
    answer = await api.call("POST", path, token=provider.token, body=account)
    if answer.status == 409 and answer.code == "calendar_already_connected":
        return CalendarConnection(provider, radicale, answer.json["connectionId"])
    if answer.status != 201:
        raise WentWrong(f"POST {path} answered {answer.status}: {answer.text[:500]}")
    id_ = answer.json["id"]
    known = (await api.expect(200, "GET", path, token=provider.token)).json["items"]
    for other in known:
        if (other["account"], other["place"]) == (USER, "localhost") and other["id"] != id_:
            await api.expect(204, "DELETE", f"{path}/{other['id']}", token=provider.token)
    return CalendarConnection(provider, radicale, id_)
