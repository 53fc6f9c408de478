"""The states of a time-off request and every allowed move between them."""

from enum import StrEnum

from shared.errors import Conflict


class Status(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class Action(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"


class IllegalTransition(Conflict):
    """This action is not possible in this state."""

    code = "invalid_transition"
    title = "The request's state does not allow this"

    def __init__(self, status: Status, action: Action) -> None:
        super().__init__(f"a request that is {status} allows no {action}", status=status.value)


TRANSITIONS: dict[tuple[Status, Action], Status] = {
    (Status.PENDING, Action.APPROVE): Status.APPROVED,
    (Status.PENDING, Action.REJECT): Status.REJECTED,
    (Status.PENDING, Action.WITHDRAW): Status.WITHDRAWN,
    (Status.APPROVED, Action.WITHDRAW): Status.WITHDRAWN,
}


def after(status: Status, action: Action) -> Status:
    """The state that ``action`` leads to; any move not in the table is an IllegalTransition."""
    try:
        return TRANSITIONS[status, action]
    except KeyError:
        raise IllegalTransition(status, action) from None
