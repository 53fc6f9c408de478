"""If-None-Match: who has an answer already is told so instead of given it again."""

from fastapi import Request


def has_already(request: Request, etag: str) -> bool:
    """Whether the client names this answer (RFC 9110, 13.1.2: the comparison is weak)."""
    named = request.headers.get("if-none-match", "")
    known = [each.strip().removeprefix("W/") for each in named.split(",")]
    return etag in known or known == ["*"]
