"""All fixtures for the services' tests; the root conftest loads this plugin."""

from shared.testing.databases import (
    database,
    database_name,
    database_url,
    owner_url,
    schema,
    service_folder,
    template_database,
)
from shared.testing.servers import amqp_url, postgres_url
from shared.testing.tokens import jwks_file, make_token, settings_values, signing_key

__all__ = [
    "amqp_url",
    "database",
    "database_name",
    "database_url",
    "jwks_file",
    "make_token",
    "owner_url",
    "postgres_url",
    "schema",
    "service_folder",
    "settings_values",
    "signing_key",
    "template_database",
]
