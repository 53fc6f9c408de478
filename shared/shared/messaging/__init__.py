"""Events between services: written with their cause, published after it, taking effect once."""

from shared.messaging.handlers import AllTogether, Handler, Handlers, InHand

__all__ = ["AllTogether", "Handler", "Handlers", "InHand"]
