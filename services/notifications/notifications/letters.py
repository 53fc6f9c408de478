"""What messages say: one template for each kind of news and party makes the text and the HTML."""

import gettext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications.domain.facts import Facts
from notifications.domain.job import Job
from notifications.domain.local_time import local_time, zone_of
from notifications.domain.news import Party
from notifications.domain.plain_text import one_line

_HERE = Path(__file__).parent
_TEMPLATES = _HERE / "templates"
_CATALOGUES = _HERE / "locale"
_CATALOGUE = "LC_MESSAGES/messages.mo"
_WRITTEN_IN = "en"
_LONGEST_ADDRESS = 160


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str
    html: str
    language: str


class LetterWriter:
    """Writes in the recipient's language where there is a catalogue for it, else in English."""

    def __init__(self, public_origin: str, *, catalogues: Path = _CATALOGUES) -> None:
        self._origin = public_origin
        self._catalogues = catalogues
        self._languages = {path.parts[-3] for path in catalogues.glob(f"*/{_CATALOGUE}")}
        self._paper = cache(self._make_paper)

    def letter(self, job: Job) -> Letter:
        """What the job has to say, whoever wrote the names in it."""
        paper = self._paper(self._language(job))
        template = f"{job.news}_{job.party}.jinja"
        words = self._words(job)
        return Letter(
            subject=paper.subject(template, words),
            text=paper.text(template, words),
            html=paper.html(template, words),
            language=paper.language,
        )

    def _language(self, job: Job) -> str:
        """The nearest with a catalogue: ``de-AT`` is written as ``de``."""
        wish = job.recipient.language if job.recipient else _WRITTEN_IN
        nearest = (wish, wish.partition("-")[0])
        return next((each for each in nearest if each in self._languages), _WRITTEN_IN)

    def _make_paper(self, language: str) -> "_Paper":
        return _Paper(language, self._catalogues)

    def _words(self, job: Job) -> dict[str, object]:
        facts = job.facts
        recipient_zone = job.recipient.timezone if job.recipient else None
        snapshot = facts.patient_timezone if job.party is Party.PATIENT else facts.provider_timezone
        zone = zone_of(recipient_zone, snapshot)
        start = local_time(facts.start, zone)
        there = local_time(facts.start, zone_of(facts.provider_timezone))
        return {
            "recipient": one_line(job.recipient.name if job.recipient else None),
            "patient": one_line(job.patient_name),
            "provider": one_line(facts.provider_name),
            "start": start,
            "start_there": there if _is_elsewhere(facts, start.offset, there.offset) else None,
            "minutes": round((facts.end - facts.start).total_seconds() / 60),
            "mode": facts.mode,
            "place": one_line(facts.location_name),
            "address": one_line(facts.location_address, _LONGEST_ADDRESS),
            "answer_by": (
                local_time(facts.pending_expires_at, zone) if facts.pending_expires_at else None
            ),
            "cause": facts.cancellation_cause,
            "is_for_patient": job.party is Party.PATIENT,
            "appointment_link": f"{self._origin}/appointments/{facts.appointment_id}",
            "rebook_link": f"{self._origin}/providers/{facts.provider_id}",
        }


def _is_elsewhere(facts: Facts, here: str, there: str) -> bool:
    """Whoever has to travel there needs the time that the clocks show there."""
    return facts.mode == "in_person" and here != there


class _Paper:
    """The templates in one language, compiled once for text and once for HTML."""

    def __init__(self, language: str, catalogues: Path) -> None:
        self.language = language
        translations = _translations(catalogues / language / _CATALOGUE)
        self._plain = _environment(translations, escapes=False)
        self._marked_up = _environment(translations, escapes=True)

    def subject(self, template: str, words: dict[str, object]) -> str:
        found = self._plain.get_template(template)
        return "".join(found.blocks["subject"](found.new_context(words)))

    def text(self, template: str, words: dict[str, object]) -> str:
        return self._write(self._plain, "layout.txt.jinja", template, words)

    def html(self, template: str, words: dict[str, object]) -> str:
        return self._write(self._marked_up, "layout.html.jinja", template, words)

    def _write(
        self,
        environment: ImmutableSandboxedEnvironment,
        layout: str,
        template: str,
        words: dict[str, object],
    ) -> str:
        return environment.get_template(template).render(
            words, layout=layout, language=self.language
        )


def _translations(catalogue: Path) -> gettext.NullTranslations:
    if not catalogue.is_file():
        return gettext.NullTranslations()
    with catalogue.open("rb") as file:
        return gettext.GNUTranslations(file)


def _environment(
    translations: gettext.NullTranslations, *, escapes: bool
) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=escapes,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    return environment
