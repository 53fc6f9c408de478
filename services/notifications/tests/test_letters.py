"""What messages say, and what they never say, whoever wrote the names in them."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from notifications.domain.job import Job
from notifications.domain.news import Category, News, Party
from notifications.domain.schedule import WORDINGS
from notifications.letters import Letter, LetterWriter

from .builders import a_contact, a_job, facts_about, some_facts

EVERY_LETTER = pytest.mark.parametrize(("news", "party"), sorted(WORDINGS))
OF_APPOINTMENTS = pytest.mark.parametrize(
    ("news", "party"),
    sorted(each for each in WORDINGS if each[0].category is not Category.OPERATIONS),
)
HOSTILE = "Eve\r\nBcc: all@example.com {{7*7}} {% raw %} %(x)s <script>alert(1)</script> \" '"
LITERALLY = "Eve Bcc: all@example.com {{7*7}} {% raw %} %(x)s <script>alert(1)</script> \" '"


def letter(job: Job) -> Letter:
    return LetterWriter("https://medic.example").letter(job)


class Reader(HTMLParser):
    """What somebody sees, and where links lead."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.seen = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.seen += data


@OF_APPOINTMENTS
def test_every_letter_says_when_in_the_recipients_zone(news: News, party: Party) -> None:
    written = letter(
        a_job(news=news, party=party, recipient=a_contact(timezone="America/New_York"))
    )

    when = "Tuesday, 24 November 2026, 02:30 (America/New_York, UTC-05:00)"
    assert when in written.text
    assert when in Reader(written.html).seen


@OF_APPOINTMENTS
def test_every_letter_leads_to_a_page_of_ours(news: News, party: Party) -> None:
    facts = some_facts()
    pages = {
        f"https://medic.example/appointments/{facts.appointment_id}",
        f"https://medic.example/providers/{facts.provider_id}",
    }

    written = letter(a_job(news=news, party=party, facts=facts))

    [link] = Reader(written.html).links
    assert link in pages
    assert link in written.text.split()


@OF_APPOINTMENTS
def test_subjects_name_nobody(news: News, party: Party) -> None:
    plain, other = (
        letter(
            a_job(
                news=news,
                party=party,
                recipient=a_contact(name=name),
                patient_name=name,
                facts=some_facts(provider_name=name, location_name=name),
            )
        ).subject
        for name in ("Eleni", HOSTILE)
    )

    assert plain == other
    assert 5 < len(plain) < 60
    assert "&" not in plain


@OF_APPOINTMENTS
def test_names_are_taken_literally(news: News, party: Party) -> None:
    written = letter(
        a_job(
            news=news,
            party=party,
            recipient=a_contact(name=HOSTILE),
            patient_name=HOSTILE,
            facts=some_facts(
                provider_name=HOSTILE, location_name=HOSTILE, location_address=HOSTILE
            ),
        )
    )
    read = Reader(written.html)

    assert f"Hello {LITERALLY}," in written.text
    assert f"Hello {LITERALLY}," in read.seen
    assert "\nBcc:" not in written.text
    assert "script" not in read.tags
    assert "49" not in written.text.replace(written.text.split("/")[-1], "")


@OF_APPOINTMENTS
def test_huge_names_stay_small(news: News, party: Party) -> None:
    huge = "A" * 100_000
    written = letter(
        a_job(
            news=news,
            party=party,
            recipient=a_contact(name=huge),
            patient_name=huge,
            facts=some_facts(provider_name=huge, location_name=huge, location_address=huge),
        )
    )

    assert len(written.text) < 2_000
    assert len(written.html) < 4_000


@OF_APPOINTMENTS
def test_a_letter_needs_no_names(news: News, party: Party) -> None:
    written = letter(
        a_job(
            news=news,
            party=party,
            recipient=a_contact(name=None),
            patient_name=None,
            facts=facts_about(news, mode="video", location_name=None, location_address=None),
        )
    )

    assert written.text.startswith("Hello,\n")
    assert "None" not in written.text + written.html
    assert "Where: By video" in written.text


def test_the_provider_learns_who_comes_and_the_patient_to_whom() -> None:
    to_provider = letter(a_job(party=Party.PROVIDER, recipient=a_contact(name="Eleni")))
    to_patient = letter(a_job(party=Party.PATIENT))

    assert "Patient: Maria Pappas" in to_provider.text
    assert "With: Dr. Eleni Ioannou" in to_patient.text
    assert "Patient:" not in to_patient.text


def test_who_travels_there_also_sees_the_clocks_there() -> None:
    there = "On the clocks there: Tuesday, 24 November 2026, 09:30 (Europe/Athens, UTC+02:00)"
    abroad, at_home = a_contact(timezone="Europe/London"), a_contact(timezone="Europe/Athens")

    assert there in letter(a_job(recipient=abroad)).text
    assert there not in letter(a_job(recipient=at_home)).text
    assert there not in letter(a_job(recipient=abroad, facts=some_facts(mode="phone"))).text


@pytest.mark.parametrize("zone", ["Mars/Base", "", "../../etc/passwd", "Europe"])
def test_an_unknown_zone_gives_way_to_the_one_of_the_booking(zone: str) -> None:
    written = letter(a_job(recipient=a_contact(timezone=zone)))

    assert "07:30 (Europe/London, UTC+00:00)" in written.text


@pytest.mark.parametrize(
    ("cause", "to_patient", "to_provider"),
    [
        ("patient", "You have cancelled", "The patient has cancelled"),
        ("provider", "Dr. Eleni Ioannou has had to cancel", "You have cancelled"),
        ("system", "has been cancelled", "has been cancelled"),
    ],
)
def test_a_cancellation_says_who_did_it(cause: str, to_patient: str, to_provider: str) -> None:
    facts = some_facts(cancellation_cause=cause)
    patient = letter(a_job(news=News.CANCELLED, facts=facts))
    provider = letter(a_job(news=News.CANCELLED, party=Party.PROVIDER, facts=facts))

    assert to_patient in patient.text
    assert "Find another time" in patient.text
    assert to_provider in provider.text


def test_a_request_says_until_when_it_is_answered() -> None:
    facts = some_facts(pending_expires_at=datetime(2026, 11, 21, 16, 0, tzinfo=UTC))
    athens = a_contact(timezone="Europe/Athens")
    patient = letter(a_job(news=News.REQUESTED, facts=facts))
    provider = letter(
        a_job(news=News.REQUESTED, party=Party.PROVIDER, facts=facts, recipient=athens)
    )

    assert "Saturday, 21 November 2026, 16:00 (Europe/London, UTC+00:00)" in patient.text
    assert "Saturday, 21 November 2026, 18:00 (Europe/Athens, UTC+02:00)" in provider.text


@pytest.mark.parametrize("language", ["xx", "fr-CA", "../../etc", "e\x00n"])
def test_a_language_without_a_catalogue_gives_way_to_english(language: str) -> None:
    written = letter(a_job(recipient=a_contact(language=language)))

    assert written.language == "en"
    assert written.subject == "Your appointment is confirmed"
