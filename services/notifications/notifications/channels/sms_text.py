"""How many parts an SMS has, by which it is paid (3GPP TS 23.038)."""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED = frozenset("^{}\\[~]|€\f")


def parts_of(text: str) -> int:
    """Greek small letters, as all that GSM's own alphabet lacks, make it UCS-2: 70 units a part."""
    if _GSM.union(_GSM_EXTENDED).issuperset(text):
        length = len(text) + sum(each in _GSM_EXTENDED for each in text)
        return _parts(length, alone=160, joined=153)
    return _parts(len(text.encode("utf-16-be")) // 2, alone=70, joined=67)


def _parts(length: int, *, alone: int, joined: int) -> int:
    return 1 if length <= alone else -(-length // joined)
