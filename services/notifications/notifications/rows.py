"""The facts that stand below every letter, each with its label.

In Python and not in a template, because a call in the sandbox costs more than all of this.
"""

import gettext
from collections.abc import Mapping
from typing import Any


def rows_of(words: Mapping[str, Any], language: gettext.NullTranslations) -> list[tuple[str, str]]:
    """The same for the text and for the HTML: (label, value)."""
    _, ngettext = language.gettext, language.ngettext
    if words["start"] is None:
        rows = [(_("When"), str(time)) for time in words["times"]]
        if more := words["more"]:
            others = ngettext("%(num)s more", "%(num)s more", more) % {"num": more}
            rows.append((_("Besides"), others))
        return rows
    minutes = words["minutes"]
    rows = [(_("When"), str(words["start"]))]
    if words["start_there"]:
        rows.append((_("On the clocks there"), str(words["start_there"])))
    length = ngettext("%(num)s minute", "%(num)s minutes", minutes) % {"num": minutes}
    rows.append((_("Length"), length))
    if words["is_for_patient"]:
        rows.append((_("With"), words["provider"]))
    elif words["patient"]:
        rows.append((_("Patient"), words["patient"]))
    if words["mode"] == "video":
        rows.append((_("Where"), _("By video")))
    elif words["mode"] == "phone":
        rows.append((_("Where"), _("By phone")))
    elif words["place"]:
        rows.append((_("Where"), words["place"]))
    return rows
