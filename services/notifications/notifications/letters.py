"""What messages say: one template for each kind of news and party makes the text and the HTML."""

from collections.abc import Set
from functools import cache, cached_property

from css_inline import CSSInliner
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications.catalogues import WRITTEN_IN, Catalogues
from notifications.domain.job import Job
from notifications.domain.local_time import locale_of
from notifications.rows import rows_of
from notifications.templating import sandbox
from notifications.wording import words_of


class Letter:
    """Written as far as somebody wants to read it: an SMS needs no HTML."""

    def __init__(self, paper: "_Paper", template: str, words: dict[str, object]) -> None:
        self._paper = paper
        self._template = template
        self._words = words
        self.language = paper.language

    @cached_property
    def subject(self) -> str:
        return self._paper.block("subject", self._template, self._words)

    @cached_property
    def lead(self) -> str:
        """The sentence that tells the news."""
        return self._paper.block("lead", self._template, self._words).strip()

    @cached_property
    def link(self) -> str:
        return self._paper.block("link", self._template, self._words)

    @cached_property
    def title(self) -> str:
        """Of the appointment in a calendar."""
        return self._paper.block("title", "calendar_entry.jinja", self._words)

    @property
    def when(self) -> str | None:
        """With zone and offset; None for what is about no appointment."""
        return str(self._words["start"]) if self._words["start"] else None

    @cached_property
    def text(self) -> str:
        return self._paper.text(self._template, self._words)

    @cached_property
    def html(self) -> str:
        return self._paper.html(self._template, self._words)

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
        words["rows"] = rows_of(words, self._catalogues.translations(paper.language))
        return Letter(paper, template, words)

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
