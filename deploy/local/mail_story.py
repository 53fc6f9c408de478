"""The mails of one appointment, as they have arrived at the SMTP server."""

from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from email.utils import getaddresses
from pathlib import Path

from local.console import WentWrong
from local.demo_data import Clinic, Patient
from local.waiting import wait_for


class MailStory:
    """What a newcomer sees of the mail folder."""

    def __init__(
        self,
        mail: Path,
        clinic: Clinic,
        tell: Callable[[str], None],
        more: Callable[[str], None],
    ) -> None:
        self._mail = mail
        self._clinic = clinic
        self._tell = tell
        self._more = more

    async def see_mail(self, patient: Patient, *, since: float, limit: float) -> None:
        """One e-mail to the patient and one to the provider."""
        others = {somebody.email for somebody, _ in self._clinic.patients}

        async def look() -> list[tuple[Path, Message]] | None:
            arrived = list(_messages(self._mail, since))
            to_patient = [m for m in arrived if patient.email in _recipients(m[1])]
            to_provider = [m for m in arrived if _recipients(m[1]) - others]
            return to_patient[:1] + to_provider[:1] if to_patient and to_provider else None

        what = f"e-mails to {patient.email} and to the provider in {self._mail}"
        messages = await wait_for(look, what, limit=limit)
        self._tell("e-mails have arrived at the SMTP server")
        for path, message in messages:
            to = ", ".join(sorted(_recipients(message)))
            self._more(f"to {to}: “{_subject(message)}”")
            self._more(f"   {path}")
            self._more(f"   in {message['Content-Language']}, with {_invitation(message)}")


def _messages(mail: Path, since: float) -> Iterator[tuple[Path, Message]]:
    for folder in ("new", "cur"):
        for path in (mail / folder).glob("*"):
            # Maildir's files are complete as soon as they have a name here.
            if path.stat().st_mtime >= since - 1:
                yield path, message_from_bytes(path.read_bytes(), policy=default)


def _recipients(message: Message) -> set[str]:
    """To whom the server was asked to deliver it."""
    return {address for _, address in getaddresses(message.get_all("X-RcptTo", []))}


def _invitation(message: Message) -> str:
    for part in message.walk():
        if part.get_content_type() == "text/calendar":
            return f"an invitation for calendars (METHOD:{part.get_param('method')})"
    raise WentWrong(f"the mail “{_subject(message)}” brings no invitation")


def _subject(message: Message) -> str:
    return str(message["Subject"])
