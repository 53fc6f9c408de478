"""Google's calendar as far as calendar-sync meets it: a small server that behaves like it.

Built from Google's own documentation and its discovery document, not from what our adapter does;
the official Python client drives it in ``test_google_double.py``.
"""

from .server import GoogleDouble

__all__ = ["GoogleDouble"]
