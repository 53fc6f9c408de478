"""What messages say: one template for each kind of news and party makes the text and the HTML."""

from collections.abc import Set
from dataclasses import dataclass
from functools import cache

from css_inline import CSSInliner
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications.catalogues import WRITTEN_IN, Catalogues
from notifications.domain.job import Job
from notifications.domain.local_time import locale_of
from notifications.templating import sandbox
from notifications.wording import words_of


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    lead: str
    """The sentence that tells the news."""
    when: str | None
    """With zone and offset."""
    link: str
    text: str
    html: str
    language: str
    title: str | None = None
    """Of the appointment in a calendar."""

    @property
    def short(self) -> str:
        """For a telephone: what it is about and when, where to see more, and nothing else."""
        head = f"{self.subject}: {self.when}" if self.when else self.subject
        return f"{head}\n{self.link}"


class LetterWriter:
    """Writes in the recipient's language where there is a catalogue for it, else in English."""

    def __init__(self, public_origin: str, *, catalogues: Catalogues | None = None) -> None:
        self.origin = public_origin
        self._catalogues = catalogues or Catalogues()
        self._paper = cache(self._make_paper)

    @property
    def languages(self) -> Set[str]:
        return self._catalogues.languages

    def letter(self, job: Job, *, unsubscribe_link: str | None = None) -> Letter:
        """What the job has to say, whoever wrote the names in it."""
        wish = job.recipient.language if job.recipient else WRITTEN_IN
        paper = self._paper(self._catalogues.nearest(wish))
        # Dates in the recipient's own variety of the language, if they read that language.
        dates = wish if paper.language == wish.partition("-")[0] else paper.language
        template = f"{job.news}_{job.party}.jinja"
        words = words_of(job, origin=self.origin, language=dates)
        words["unsubscribe_link"] = unsubscribe_link
        return Letter(
            subject=paper.block("subject", template, words),
            lead=paper.block("lead", template, words).strip(),
            when=str(words["start"]) if words["start"] else None,
            link=paper.block("link", template, words),
            text=paper.text(template, words),
            html=paper.html(template, words),
            language=paper.language,
            title=paper.block("title", "calendar_entry.jinja", words) if words["start"] else None,
        )

    def _make_paper(self, language: str) -> "_Paper":
        return _Paper(language, self._catalogues)


class _Paper:
    """The templates in one language, compiled once for text and once for HTML."""

    def __init__(self, language: str, catalogues: Catalogues) -> None:
        self.language = language
        self._direction = locale_of(language).text_direction
        self._plain = sandbox(catalogues, language, escapes=False)
        self._marked_up = sandbox(catalogues, language, escapes=True)
        # Mail readers know no style sheets.
        self._inliner = CSSInliner(keep_style_tags=False, load_remote_stylesheets=False)

    def block(self, name: str, template: str, words: dict[str, object]) -> str:
        """One part of the text: ``subject``, ``lead`` or ``link``."""
        for source in (template, "layout.txt.jinja"):
            found = self._plain.get_template(source)
            if name in found.blocks:
                return "".join(found.blocks[name](found.new_context(words)))
        raise LookupError(name)

    def text(self, template: str, words: dict[str, object]) -> str:
        return self._write(self._plain, "layout.txt.jinja", template, words)

    def html(self, template: str, words: dict[str, object]) -> str:
        return self._inliner.inline(
            self._write(self._marked_up, "layout.html.jinja", template, words)
        )

    def _write(
        self,
        environment: ImmutableSandboxedEnvironment,
        layout: str,
        template: str,
        words: dict[str, object],
    ) -> str:
        return environment.get_template(template).render(
            words, layout=layout, language=self.language, direction=self._direction
        )
