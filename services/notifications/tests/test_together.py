"""Many small questions as few larger ones: who is asked for with whom, and who hears of what."""

import asyncio
from collections.abc import Sequence

from notifications.together import Together

from .conftest import Until


class Books:
    """Answers with ten times the question; keeps what was asked at once."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failures: list[Exception] = []

    async def ask(self, questions: Sequence[int]) -> list[int]:
        self.asked.append(list(questions))
        await self.open.wait()
        if self.failures:
            raise self.failures.pop()
        return [question * 10 for question in questions]


async def test_those_who_ask_during_the_pause_are_asked_for_at_once() -> None:
    books = Books()
    together = Together(books.ask, pause=2)

    async def ask_later(question: int) -> int:
        for _ in range(5):
            await asyncio.sleep(0)
        return await together(question)

    answers = await asyncio.gather(together(1), *(ask_later(number) for number in range(2, 20)))

    assert answers == [number * 10 for number in range(1, 20)]
    assert books.asked == [list(range(1, 20))]


async def test_those_who_ask_meanwhile_are_asked_for_next(until: Until) -> None:
    books = Books()
    together = Together(books.ask)
    books.open.clear()

    first = asyncio.create_task(together(1))
    await until(lambda: books.asked)
    others = [asyncio.create_task(together(number)) for number in (2, 3)]
    await asyncio.sleep(0)
    books.open.set()

    assert await asyncio.gather(first, *others) == [10, 20, 30]
    assert books.asked == [[1], [2, 3]]


async def test_no_more_than_allowed_are_asked_for_at_once() -> None:
    books = Books()
    together = Together(books.ask, most=3)

    answers = await asyncio.gather(*(together(number) for number in range(7)))

    assert answers == [number * 10 for number in range(7)]
    assert books.asked == [[0, 1, 2], [3, 4, 5], [6]]


async def test_all_who_had_asked_hear_of_a_failure_and_nobody_else() -> None:
    books = Books()
    together = Together(books.ask, most=2)
    books.failures = [OSError("away")]

    answers = await asyncio.gather(
        *(together(number) for number in range(4)), return_exceptions=True
    )

    assert [type(answer) for answer in answers] == [OSError, OSError, int, int]
    assert await together(5) == 50


async def test_whoever_does_not_wait_any_more_takes_nobody_elses_answer() -> None:
    books = Books()
    together = Together(books.ask)

    gone = asyncio.create_task(together(1))
    stays = asyncio.create_task(together(2))
    await asyncio.sleep(0)
    gone.cancel()

    async with asyncio.timeout(20):
        assert await stays == 20
    assert gone.cancelled()
