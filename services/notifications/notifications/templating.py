"""The sandbox in which all templates run."""

from pathlib import Path

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications.catalogues import Catalogues

TEMPLATES = Path(__file__).parent / "templates"


def sandbox(
    catalogues: Catalogues, language: str, *, escapes: bool
) -> ImmutableSandboxedEnvironment:
    """Templates in one language; ``escapes`` for HTML. What they do not know is an error."""
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escapes,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.policies["ext.i18n.trimmed"] = True
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        catalogues.translations(language), newstyle=True
    )
    return environment
