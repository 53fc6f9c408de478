"""Events between services: written with their cause, published after it, taking effect once."""

from shared.messaging.handlers import Handler, Handlers

__all__ = ["Handler", "Handlers"]
