"""Work that is late is counted in the database, up to a limit."""

from prometheus_client import REGISTRY

from shared import due_work
from shared.db import Database


def sample(name: str, work: str) -> float | None:
    return REGISTRY.get_sample_value(name, {"work": work})


async def test_what_is_due_is_counted_and_the_oldest_of_it_is_timed(database: Database) -> None:
    late = "SELECT now() - make_interval(secs => n) AS due_at FROM generate_series(10, 70, 30) n"

    await due_work.measure(database, {"late": late, "none": f"{late} WHERE false"})

    assert sample("work_due", "late") == 3
    assert sample("work_due_oldest_seconds", "late") == 70
    assert sample("work_due", "none") == 0
    assert sample("work_due_oldest_seconds", "none") == 0


async def test_however_much_there_is_no_more_is_read_than_the_limit(database: Database) -> None:
    endless = """
        WITH RECURSIVE all_of_it AS (SELECT now() AS due_at UNION ALL SELECT due_at FROM all_of_it)
        SELECT due_at FROM all_of_it
    """

    await due_work.measure(database, {"endless": endless})

    assert sample("work_due", "endless") == due_work.MOST
