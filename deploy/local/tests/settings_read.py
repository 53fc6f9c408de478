"""What a service's settings class asks for, against an environment that it would be given."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from local.services import Service
from shared.settings import ServiceSettings

A_SECRET = "a secret of thirty-two characters or more"


def settings_class(service: Service) -> type[ServiceSettings]:
    if find_spec(f"{service.package}.settings") is None:
        return ServiceSettings
    module = import_module(f"{service.package}.settings")
    classes = [entry for entry in vars(module).values() if isinstance(entry, type)]
    [own] = [c for c in classes if issubclass(c, ServiceSettings) and c is not ServiceSettings]
    return own


def accepted(service: Service, environment: Mapping[str, Any]) -> None:
    """Fails unless what is required is set and valid, and nothing is set that nobody reads."""
    values = {name.lower(): value for name, value in environment.items()}
    own = settings_class(service)
    required = {name for name, field in own.model_fields.items() if field.is_required()}
    assert required <= set(values)
    assert set(values) - {"worker_port"} <= set(own.model_fields), "a variable that nobody reads"
    own.model_validate(values)
