"""The few pages that notifications shows by itself."""

from functools import cache

from jinja2 import Template

from notifications.catalogues import Catalogues
from notifications.domain.local_time import locale_of
from notifications.templating import sandbox
from notifications.use_cases.preferences import Link


class UnsubscribePages:
    """In the language of whoever got the mail."""

    def __init__(self, catalogues: Catalogues | None = None) -> None:
        self._catalogues = catalogues or Catalogues()
        self._template = cache(self._make_template)

    def question(self, link: Link) -> str:
        return self._page(link, is_done=False)

    def answer(self, link: Link) -> str:
        return self._page(link, is_done=True)

    def _page(self, link: Link, *, is_done: bool) -> str:
        language = self._catalogues.nearest(link.language)
        return self._template(language).render(
            language=language,
            direction=locale_of(language).text_direction,
            category=link.category.value,
            is_done=is_done,
        )

    def _make_template(self, language: str) -> Template:
        return sandbox(self._catalogues, language, escapes=True).get_template(
            "unsubscribe.html.jinja"
        )
