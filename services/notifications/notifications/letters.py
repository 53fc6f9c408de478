"""What messages say: one template for each kind of news and party makes the text and the HTML."""

from collections.abc import Set
from functools import cache, cached_property, lru_cache

from notifications.catalogues import WRITTEN_IN, Catalogues
from notifications.domain.job import Job
from notifications.forms import Form, Paper, Shape, Values, escaped
from notifications.rows import rows_of
from notifications.wording import words_of

_MOST_FORMS = 1000


class Letter:
    """A form and what fills its gaps."""

    def __init__(self, form: Form, values: Values, *, language: str, when: str | None) -> None:
        self._form = form
        self._values = values
        self.language = language
        self.when = when
        """With zone and offset; None for what is about no appointment."""

    @cached_property
    def subject(self) -> str:
        return self._form.subject.filled(self._values)

    @cached_property
    def lead(self) -> str:
        """The sentence that tells the news."""
        return self._form.lead.filled(self._values)

    @cached_property
    def link(self) -> str:
        return self._form.link.filled(self._values)

    @cached_property
    def title(self) -> str:
        """Of the appointment in a calendar."""
        return self._form.title.filled(self._values)

    @cached_property
    def text(self) -> str:
        return self._form.text.filled(self._values)

    @cached_property
    def html(self) -> str:
        return self._form.html.filled(escaped(self._values))

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
        self._form = lru_cache(maxsize=_MOST_FORMS)(self._make_form)

    @property
    def languages(self) -> Set[str]:
        return self._catalogues.languages

    def letter(self, job: Job, *, unsubscribe_link: str | None = None) -> Letter:
        """What the job has to say, whoever wrote the names in it."""
        wish = job.recipient.language if job.recipient else WRITTEN_IN
        language = self._catalogues.nearest(wish)
        # Dates in the recipient's own variety of the language, if they read that language.
        dates = wish if language == wish.partition("-")[0] else language
        words = words_of(job, origin=self.origin, language=dates)
        words["unsubscribe_link"] = unsubscribe_link
        shape, values = Shape.of(
            words,
            rows_of(words, self._catalogues.translations(language)),
            language=language,
            template=f"{job.news}_{job.party}.jinja",
        )
        when = str(words["start"]) if words["start"] else None
        return Letter(self._form(shape), values, language=language, when=when)

    def _make_form(self, shape: Shape) -> Form:
        return Form(self._paper(shape.language), shape)

    def _make_paper(self, language: str) -> Paper:
        return Paper(language, self._catalogues)
