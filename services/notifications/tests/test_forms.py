"""A form that is filled says what its template says, whatever fills it."""

import pytest
from css_inline import CSSInliner

from notifications.catalogues import Catalogues
from notifications.domain.job import Job
from notifications.domain.news import News, Party
from notifications.domain.schedule import WORDINGS
from notifications.forms import Paper
from notifications.letters import LetterWriter
from notifications.rows import rows_of
from notifications.wording import words_of

from .builders import a_contact, a_job, facts_about

ORIGIN = "https://medic.example"
CATALOGUES = Catalogues()
HOSTILE = "\"Eve\" & 'Bob' <b>{{ provider }}</b> {% raw %} %(provider)s &amp; \ue000\ue101\uf8ff"
NAMES = ["Maria Pappas", HOSTILE, "ליאת \ue001", None]
EVERY_TEMPLATE = pytest.mark.parametrize(("news", "party"), sorted(WORDINGS))


def a_job_with(news: News, party: Party, name: str | None, language: str) -> Job:
    return a_job(
        news=news,
        party=party,
        patient_name=name,
        recipient=a_contact(name=name, language=language),
        facts=facts_about(
            news, provider_name=name or "", location_name=name, cancellation_cause="patient"
        ),
    )


def read_again(html: str) -> str:
    return CSSInliner(keep_style_tags=False).inline(html)


@EVERY_TEMPLATE
@pytest.mark.parametrize("language", ["en", "el"])
def test_a_filled_form_is_what_the_template_writes(news: News, party: Party, language: str) -> None:
    paper, writer = Paper(language, CATALOGUES), LetterWriter(ORIGIN, catalogues=CATALOGUES)
    template = f"{news}_{party}.jinja"
    for name in NAMES:
        for link in (f"{ORIGIN}/stop", None):
            job = a_job_with(news, party, name, language)
            words = words_of(job, origin=ORIGIN, language=language)
            words["unsubscribe_link"] = link
            words["rows"] = rows_of(words, CATALOGUES.translations(language))

            written = writer.letter(job, unsubscribe_link=link)

            assert written.text == paper.text(template, words)
            assert written.subject == paper.block("subject", template, words)
            assert written.lead == paper.block("lead", template, words).strip()
            assert written.link == paper.block("link", template, words)
            # Quotation marks may be written in two ways until somebody has read them.
            assert read_again(written.html) == read_again(paper.html(template, words))


def test_letters_of_one_kind_share_a_form_and_nothing_else() -> None:
    writer = LetterWriter(ORIGIN, catalogues=CATALOGUES)
    jobs = [a_job_with(News.CONFIRMED, Party.PATIENT, name, "en") for name in ("Ann", "Bea")]

    ann, bea = [writer.letter(job) for job in jobs]

    assert "Hello Ann," in ann.text
    assert "Hello Bea," in bea.text
    assert ann.text.replace("Ann", "Bea").replace(ann.link, bea.link) == bea.text
