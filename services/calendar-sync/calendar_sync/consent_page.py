"""The page on which a consent ends, where no front end takes over."""

from html import escape
from urllib.parse import urlencode

HEADERS = {
    "Cache-Control": "no-store",
    # The address holds a code: it is used up, and is nobody's business nevertheless.
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>body {{ font: 1.1rem/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 32rem;
padding: 0 1rem }}</style></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body>
</html>
"""


def page(title: str, text: str) -> str:
    """Takes both literally."""
    return _PAGE.format(title=escape(title), text=escape(text))


def place(return_url: str, **told: str) -> str:
    """The front end's address with what it is told."""
    return f"{return_url}{'&' if '?' in return_url else '?'}{urlencode(told)}"
