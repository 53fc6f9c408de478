import phonenumbers

from local.demo_data import patients

RESERVED_FOR_EXAMPLES = ("@example.org", "@example.com", "@example.net")


def test_there_are_twenty_patients_whom_no_mail_or_call_can_reach() -> None:
    everybody = patients()

    assert len({patient.id for patient in everybody}) == 20
    for patient in everybody:
        assert patient.email.endswith(RESERVED_FOR_EXAMPLES)
        assert phonenumbers.is_valid_number(phonenumbers.parse(patient.phone))
