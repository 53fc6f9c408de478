"""What is written in each language, compared with files that people have read."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from babel.messages.extract import extract_from_dir

from notifications.catalogues import FOLDER, Catalogues
from notifications.domain.news import Category, News, Party
from notifications.domain.schedule import WORDINGS
from notifications.letters import LetterWriter
from notifications.templating import TEMPLATES

from .builders import PROVIDER, a_contact, a_job, facts_about

GOLDEN = Path(__file__).parent / "golden"
LANGUAGES = ("en", "el", "de")
ZONES = ("Europe/Athens", "America/New_York")
APPOINTMENT = UUID("01900000-0000-7000-8000-00000000000a")
EVERY_TEMPLATE = pytest.mark.parametrize(("news", "party"), sorted(WORDINGS))
PLACE = re.compile(r"%\((\w+)\)s")


def letter(news: News, party: Party, language: str, zone: str, name: str | None = "Maria Pappas"):
    given: dict[str, Any] = {}
    if news.category is not Category.OPERATIONS:
        given = {"appointment_id": APPOINTMENT, "provider_name": "Dr. Eleni Ioannou"}
    if news in (News.REQUESTED, News.REQUEST_EXPIRES):
        given["pending_expires_at"] = datetime(2026, 11, 21, 16, tzinfo=UTC)
    facts = facts_about(news, **given)
    job = a_job(
        news=news,
        party=party,
        facts=facts,
        recipient=a_contact(name=name, language=language, timezone=zone),
    )
    link = "https://medic.example/stop" if news.can_wait else None
    return LetterWriter("https://medic.example").letter(job, unsubscribe_link=link)


def compare(path: Path, written: str) -> None:
    """A file that is not there is written, to be read by a person and kept."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(written)
        pytest.fail(f"{path.name} was missing and has been written; read it")
    assert written == path.read_text()


@EVERY_TEMPLATE
def test_every_text_is_as_somebody_has_read_it(news: News, party: Party) -> None:
    written = [
        f"=== {language}, {zone}\nSubject: {each.subject}\n\n{each.text}\n--- short\n{each.short}\n"
        for language in LANGUAGES
        for zone in ZONES
        for each in [letter(news, party, language, zone)]
    ]

    compare(GOLDEN / f"{news}_{party}.txt", "\n".join(written))


@EVERY_TEMPLATE
def test_every_page_is_as_somebody_has_read_it(news: News, party: Party) -> None:
    compare(GOLDEN / f"{news}_{party}.html", letter(news, party, "el", "Europe/Athens").html)


def test_every_sentence_is_translated_into_every_language() -> None:
    options = {"trimmed": "true"}
    found = [
        *extract_from_dir(TEMPLATES, [("**.jinja", "jinja2")], {"**.jinja": options}),
        *extract_from_dir(TEMPLATES.parent, [("rows.py", "python")]),
    ]
    sentences = {each[2] if isinstance(each[2], str) else each[2][0] for each in found}

    catalogues = Catalogues()

    assert catalogues.languages == set(LANGUAGES)
    for language in sorted(catalogues.languages - {"en"}):
        catalogue = catalogues.catalogue(language)
        translated = {
            message.id if isinstance(message.id, str) else message.id[0]: message
            for message in catalogue
            if message.id
        }
        assert translated.keys() == sentences, language
        for original, message in translated.items():
            forms = [message.string] if isinstance(message.string, str) else message.string
            assert len(forms) == (1 if isinstance(message.id, str) else catalogue.num_plurals)
            for form in forms:
                assert form
                assert not message.fuzzy
                assert set(PLACE.findall(form)) == set(PLACE.findall(original)), form
    assert not list(FOLDER.rglob("*.mo"))


@pytest.mark.parametrize(
    ("wish", "written_in", "day"),
    [
        ("el-GR", "el", "Τρίτη 24 Νοεμβρίου 2026"),
        ("de-AT", "de", "Dienstag, 24. November 2026"),
        ("en-US", "en", "Tuesday, November 24, 2026, 9:30 AM"),
        ("fr", "en", "Tuesday, 24 November 2026"),
    ],
)
def test_the_nearest_language_is_taken_with_its_dates(wish: str, written_in: str, day: str) -> None:
    written = letter(News.CONFIRMED, Party.PATIENT, wish, "Europe/Athens")

    assert written.language == written_in
    assert day in written.text
    assert f'<html lang="{written_in}" dir="ltr">' in written.html


def test_plurals_are_those_of_the_language() -> None:
    def conflict(language: str, count: int) -> str:
        starts = [datetime(2026, 11, 24, 7, 30, tzinfo=UTC)]
        facts = facts_about(News.CONFLICT_FOUND, count=count, starts=starts)
        job = a_job(
            news=News.CONFLICT_FOUND,
            party=Party.PROVIDER,
            facts=facts,
            recipient=a_contact(language=language),
        )
        return LetterWriter("https://medic.example").letter(job).text

    assert "liegt 1 Termin außerhalb" in conflict("de", 1)
    assert "liegen 7 Termine außerhalb" in conflict("de", 7)
    assert "Außerdem: 6 weitere" in conflict("de", 7)
    assert "has put 2 appointments" in conflict("en", 2)


def test_names_that_run_from_right_to_left_turn_nothing_around_them() -> None:
    written = letter(News.CONFIRMED, Party.PATIENT, "en", "Europe/Athens", name="ליאת (1)")

    assert "Hello \u2068ליאת (1)\u2069," in written.text
    assert "Hello \u2068ליאת (1)\u2069," in written.html
    assert str(PROVIDER) not in written.short
