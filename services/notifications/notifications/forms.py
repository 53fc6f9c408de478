"""Form letters: what is alike in many letters is written, and laid out, once, with gaps in it.

A gap is one character that no text of ours holds and that other people's text is rid of
(``plain_text``). Filling is one pass over the form, so that what is filled in is never looked at.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from html import escape
from typing import NamedTuple

from css_inline import CSSInliner
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications.catalogues import Catalogues
from notifications.domain.local_time import locale_of
from notifications.templating import sandbox

GAPS = (
    "recipient",
    "provider",
    "calendar",
    "endpoint",
    "enable_route",
    "answer_by",
    "appointment_link",
    "rebook_link",
    "schedule_link",
    "unsubscribe_link",
)
"""Words that templates may print, and ask whether there are any; what they say decides nothing."""
DECIDING = ("cause", "count", "is_complete", "is_for_patient")
"""Words that decide what a template says: each of their values has forms of its own."""

_FIRST_GAP, _FIRST_ROW, _LAST = 0xE000, 0xE100, 0xF8FF
_MARK = re.compile(f"([{chr(_FIRST_GAP)}-{chr(_LAST)}])")
_GAP_MARKS = {name: chr(_FIRST_GAP + number) for number, name in enumerate(GAPS)}

Values = Mapping[str, str]
"""What goes into the gaps, by their marks."""


class Shape(NamedTuple):
    """All that tells one form from another."""

    language: str
    template: str
    gaps: tuple[str, ...]
    """Those for which there is something."""
    decided: tuple[tuple[str, object], ...]
    """The other words that the template may use."""
    labels: tuple[str, ...]
    """Of the rows of facts."""

    @classmethod
    def of(
        cls,
        words: Mapping[str, object],
        rows: list[tuple[str, str]],
        *,
        language: str,
        template: str,
    ) -> tuple["Shape", Values]:
        """The form that these words need, and what fills it."""
        gaps = tuple(name for name in GAPS if words.get(name))
        decided = tuple(
            (name, words[name]) for name in (*GAPS, *DECIDING) if name in words and name not in gaps
        )
        values = {_GAP_MARKS[name]: str(words[name]) for name in gaps}
        values |= {chr(_FIRST_ROW + place): value for place, (_, value) in enumerate(rows)}
        labels = tuple(label for label, _ in rows)
        return cls(language, template, gaps, decided, labels), values

    @property
    def words(self) -> dict[str, object]:
        """With marks for all that differs from letter to letter."""
        rows = [(label, chr(_FIRST_ROW + place)) for place, label in enumerate(self.labels)]
        return dict(self.decided) | {name: _GAP_MARKS[name] for name in self.gaps} | {"rows": rows}


class Blank:
    """A text cut at its gaps."""

    def __init__(self, text: str) -> None:
        self._pieces = _MARK.split(text)

    def filled(self, values: Values) -> str:
        pieces = self._pieces.copy()
        pieces[1::2] = [values[mark] for mark in pieces[1::2]]
        return "".join(pieces)


class Form:
    """Made as far as somebody wants to read it: an SMS needs no HTML."""

    def __init__(self, paper: "Paper", shape: Shape) -> None:
        self._paper = paper
        self._template = shape.template
        self._words = shape.words

    @cached_property
    def subject(self) -> Blank:
        return self._block("subject")

    @cached_property
    def lead(self) -> Blank:
        return self._block("lead")

    @cached_property
    def link(self) -> Blank:
        return self._block("link")

    @cached_property
    def title(self) -> Blank:
        return Blank(self._paper.block("title", "calendar_entry.jinja", self._words))

    @cached_property
    def text(self) -> Blank:
        return Blank(self._paper.text(self._template, self._words))

    @cached_property
    def html(self) -> Blank:
        """To be filled with ``escaped`` values only."""
        return Blank(self._paper.html(self._template, self._words))

    def _block(self, name: str) -> Blank:
        return Blank(self._paper.block(name, self._template, self._words).strip())


def escaped(values: Values) -> Values:
    """Harmless in HTML, between tags and in attributes."""
    return {mark: escape(value) for mark, value in values.items()}


class Paper:
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
