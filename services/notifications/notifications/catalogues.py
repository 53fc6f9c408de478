"""Translations: catalogues as translators edit them, read when the process starts."""

import gettext
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

WRITTEN_IN = "en"
FOLDER = Path(__file__).parent / "locale"
_FILE = "LC_MESSAGES/messages.po"


class Catalogues:
    """Every language for which the folder holds ``<language>/LC_MESSAGES/messages.po``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self.languages = {path.parts[-3] for path in folder.glob(f"*/{_FILE}")} | {WRITTEN_IN}
        self.translations = cache(self._translations)

    def nearest(self, wish: str) -> str:
        """``de-AT`` is written as ``de``, and what nobody has translated in English."""
        candidates = (wish, wish.partition("-")[0])
        return next((each for each in candidates if each in self.languages), WRITTEN_IN)

    def catalogue(self, language: str) -> Catalog:
        with (self._folder / language / _FILE).open("rb") as file:
            return read_po(file, locale=language)

    def _translations(self, language: str) -> gettext.NullTranslations:
        if language not in self.languages or language == WRITTEN_IN:
            return gettext.NullTranslations()
        compiled = BytesIO()
        write_mo(compiled, self.catalogue(language))
        compiled.seek(0)
        return gettext.GNUTranslations(compiled)
