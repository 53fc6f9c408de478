"""What a process writes to its standard output."""

import json
import subprocess
import sys
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel, ValidationError

from shared.observability.crashes import description_of
from shared.observability.logs import remove_personal_fields


def lines_of(program: str) -> list[dict[str, Any]]:
    """In a process of its own: logging is set up for the whole process."""
    setup = "from shared.observability import *\nconfigure_logging('bookings', 'INFO')\n"
    run = subprocess.run(
        [sys.executable, "-c", setup + program], capture_output=True, text=True, check=True
    )
    assert run.stderr == ""
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_every_line_is_json_and_says_when_and_where() -> None:
    (line,) = lines_of("logger.info('hold_expired', count=3, patient_name='Maria')")

    assert "Maria" not in json.dumps(line)
    assert line["event"] == "hold_expired"
    assert line["count"] == 3
    assert line["service"] == "bookings"
    assert line["level"] == "info"
    assert line["at"].endswith("+00:00")


def test_lines_carry_the_ids_of_the_story_they_belong_to() -> None:
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    inside, outside = lines_of(
        f"with story('test', traceparent='{traceparent}'):\n"
        "    logger.info('inside')\nlogger.info('outside')"
    )

    assert inside["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert len(inside["span_id"]) == 16
    assert inside["span_id"] not in traceparent
    assert outside.keys().isdisjoint({"trace_id", "span_id"})


def test_what_is_below_the_level_is_not_written() -> None:
    assert lines_of("logger.debug('detail')") == []


def test_libraries_write_the_same_lines_and_less_of_them() -> None:
    lines = lines_of(
        """
import logging, logging.config, uvicorn.config
logging.config.dictConfig(uvicorn.config.LOGGING_CONFIG)
configure_logging('bookings', 'INFO')
logging.getLogger('uvicorn.error').info('Started server process [%d]', 7)
logging.getLogger('uvicorn.access').info('GET /v1/calendar-feeds/secret-token')
logging.getLogger('aio_pika').info('connected')
logging.getLogger('aiormq').warning('lost')
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger('uvicorn.error').exception('Exception in ASGI application\\n')
"""
    )

    assert [(line["logger"], line["event"], line["level"]) for line in lines] == [
        ("uvicorn.error", "Started server process [7]", "info"),
        ("aiormq", "lost", "warning"),
        ("uvicorn.error", "Exception in ASGI application", "error"),
    ]
    assert lines[2]["exception"][0]["type"] == "builtins.ZeroDivisionError"
    assert {line["service"] for line in lines} == {"bookings"}


def test_a_crash_is_told_without_quoting_anybody() -> None:
    (line,) = lines_of(
        """
def look_up():
    {}['Maria']
try:
    try:
        look_up()
    except KeyError as missing:
        raise ValueError('no patient Maria') from missing
except ValueError as error:
    logger.error('crashed', exc_info=error)
"""
    )

    outer, cause = line["exception"]
    assert (outer["type"], cause["type"]) == ("builtins.ValueError", "builtins.KeyError")
    assert cause["where"][-1].endswith("look_up")
    assert "Maria" not in json.dumps(line)


@pytest.mark.parametrize(
    "name",
    """
    name first_name firstName patient_name providerName surname email patientEmail phone
    phone_number address notes note contact contacts reason body token token_hash reservationToken
    authorization cookie password service_secret birth_date path query url message recipient
    """.split(),
)
def test_personal_fields_lose_their_values(name: str) -> None:
    event = remove_personal_fields(
        None, "info", {"event": "x", name: "Maria", "inner": [{name: 1}]}
    )

    assert event == {"event": "x", name: "[removed]", "inner": [{name: "[removed]"}]}


def test_other_fields_keep_theirs() -> None:
    event = {"event": "x", "queue": "bookings", "type": "booking.held", "timer": "t", "route": "/r"}

    assert remove_personal_fields(None, "info", dict(event)) == event


async def test_a_refusal_of_the_database_is_told_by_its_code(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await connection.execute("SELECT 'Maria'::int")
    await connection.close()

    (told,) = description_of(refused.value)

    assert told["sqlstate"] == "22P02"
    assert "Maria" not in json.dumps(told)


def test_an_invalid_model_is_told_by_its_fields() -> None:
    class Contact(BaseModel):
        age: int

    with pytest.raises(ValidationError) as invalid:
        Contact.model_validate({"age": "Maria"})

    (told,) = description_of(invalid.value)

    assert told["fields"] == ["age: int_parsing"]
    assert "Maria" not in json.dumps(told)


def test_errors_of_the_machine_speak_for_themselves() -> None:
    (told,) = description_of(ConnectionRefusedError(111, "Connection refused"))

    assert told["says"] == "[Errno 111] Connection refused"


def test_a_group_tells_of_its_members() -> None:
    (told,) = description_of(ExceptionGroup("several", [TypeError("a"), ValueError("b")]))

    assert [member["type"] for member in told["members"]] == [
        "builtins.TypeError",
        "builtins.ValueError",
    ]
