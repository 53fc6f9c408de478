"""The smallest translation that gettext can read."""

import struct
from pathlib import Path


def write_catalogue(folder: Path, language: str, words: dict[str, str]) -> None:
    """A compiled catalogue under ``folder``, as translators' tools make it."""
    entries = {"": "Content-Type: text/plain; charset=UTF-8\n", **words}
    pairs = sorted((key.encode(), value.encode()) for key, value in entries.items())
    originals, translations, texts = [], [], b""
    at = 28 + 16 * len(pairs)
    for column, table in ((0, originals), (1, translations)):
        for pair in pairs:
            table.append((len(pair[column]), at + len(texts)))
            texts += pair[column] + b"\0"
    tables = b"".join(struct.pack("<II", *place) for place in [*originals, *translations])
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    path = folder / language / "LC_MESSAGES" / "messages.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(header + tables + texts)
