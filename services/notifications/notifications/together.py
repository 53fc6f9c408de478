"""Many small questions to the database as few larger ones."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Together(Generic[Question, Answer]):
    """Whoever asks while an earlier question is on its way is asked for together with the next.

    The first of them waits for ``pause`` seconds, so that others can join. ``ask`` answers in the
    order of the questions; when it raises, all who had asked see it.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]],
        *,
        pause: float = 0.0,
        most: int = 100,
    ) -> None:
        self._ask = ask
        self._pause = pause
        self._most = most
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def __call__(self, question: Question) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause)
            asked, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await self._ask([question for question, _ in asked])
            except BaseException as error:  # noqa: BLE001 -- belongs to those who asked
                for _, future in asked:
                    if not future.done():
                        future.set_exception(error)
                        future.exception()  # somebody may have gone meanwhile
            else:
                for (_, future), answer in zip(asked, answers, strict=True):
                    if not future.done():
                        future.set_result(answer)
