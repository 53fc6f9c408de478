"""Whether anybody could tell a patient about an appointment."""

from uuid import UUID

from bookings.queries import Contact
from bookings.refusals import ContactDetailsInvalid, ContactDetailsMissing
from shared.errors import FieldError
from shared.fields import email_fault, phone_fault


def check_reachable(patient_id: UUID, contact: Contact | None) -> Contact:
    """The contact, complete and by today's rules; what was kept earlier may break them by now."""
    if contact is None or not contact.name or not (contact.email or contact.phone):
        missing = _missing(contact)
        raise ContactDetailsMissing(
            f"complete the profile first: PATCH /v1/patients/{patient_id}",
            errors=missing,
            missing=[field.path for field in missing],
        )
    faults = {
        "email": contact.email and email_fault(contact.email),
        "phone": contact.phone and phone_fault(contact.phone),
    }
    wrong = [FieldError(field, *fault) for field, fault in faults.items() if fault]
    if wrong:
        raise ContactDetailsInvalid(
            f"correct the profile first: PATCH /v1/patients/{patient_id}", errors=wrong
        )
    return contact


def _missing(contact: Contact | None) -> list[FieldError]:
    missing = []
    if contact is None or not contact.name:
        missing.append(FieldError("name", "MISSING", "a name is needed"))
    if contact is None or not (contact.email or contact.phone):
        missing.append(FieldError("email", "MISSING", "an e-mail address or a phone is needed"))
    return missing
