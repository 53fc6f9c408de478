"""Why notifications says no."""

from shared.errors import NotFound


class UserNotFound(NotFound):
    code = "user_not_found"
    title = "No such user"
