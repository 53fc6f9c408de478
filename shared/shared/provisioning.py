"""One database and two roles for each service: what `make run`, compose and the tests set up alike.

``<service>_owner`` owns the database and migrates it. ``<service>`` is what the service runs as: it
reads and writes rows, and can neither change a table nor enter another service's database.
"""

import asyncio
import sys
from urllib.parse import unquote, urlsplit

import asyncpg

from shared.environment import Environment

SERVICES = ("availability", "bookings", "reservations", "notifications", "calendar_sync")


async def provision(
    admin_url: str, service: str, *, password: str, owner_password: str, database: str | None = None
) -> None:
    """Create what is missing; asking again changes nothing but the passwords."""
    name = database or service
    admin = await asyncpg.connect(admin_url)
    try:
        # Roles are common to the whole server: two at once would trip over the same row.
        await admin.execute("SELECT pg_advisory_lock(hashtext('medic.provision'))")
        for role, secret in ((f"{service}_owner", owner_password), (service, password)):
            await _ensure_role(admin, role, secret)
        if not await admin.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await admin.execute(f'CREATE DATABASE "{name}" OWNER "{service}_owner"')
        await admin.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        await admin.execute(f'GRANT CONNECT ON DATABASE "{name}" TO "{service}"')
        inside = await asyncpg.connect(admin_url, database=name)
        await inside.execute(
            f"""
            CREATE EXTENSION IF NOT EXISTS btree_gist;
            ALTER SCHEMA public OWNER TO "{service}_owner";
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT USAGE ON SCHEMA public TO "{service}";
            ALTER DEFAULT PRIVILEGES FOR ROLE "{service}_owner" IN SCHEMA public
                GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{service}";
            ALTER DEFAULT PRIVILEGES FOR ROLE "{service}_owner" IN SCHEMA public
                GRANT USAGE, SELECT ON SEQUENCES TO "{service}";
            """
        )
        await inside.close()
    finally:
        await admin.close()


async def _ensure_role(
    admin: "asyncpg.Connection[asyncpg.Record]", role: str, password: str
) -> None:
    if not await admin.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role):
        await admin.execute(f'CREATE ROLE "{role}" LOGIN')
    literal = await admin.fetchval("SELECT quote_literal($1::text)", password)
    await admin.execute(f'ALTER ROLE "{role}" PASSWORD {literal}')


async def provision_urls(admin_url: str, url: str, owner_url: str) -> str:
    """Make the database and the roles that a service's two URLs name, and return its own role.

    ValueError when the two do not belong together.
    """
    service, owner = urlsplit(url), urlsplit(owner_url)
    if not (service.username and service.password and owner.password and service.path[1:]):
        raise ValueError("a URL lacks a role, a password or a database")
    if owner.username != f"{service.username}_owner" or owner.path != service.path:
        raise ValueError("the owner's URL is not that of the service's database and its owner")
    await provision(
        admin_url,
        service.username,
        password=unquote(service.password),
        owner_password=unquote(owner.password),
        database=service.path[1:],
    )
    return service.username


async def _provision_all(admin_url: str) -> None:
    for service in SERVICES:
        await provision(
            admin_url,
            service,
            password=Environment()[f"{service.upper()}_PASSWORD"],
            owner_password=Environment()[f"{service.upper()}_OWNER_PASSWORD"],
        )


def main(arguments: list[str]) -> int:
    """All five by their passwords; with ``own`` one, by DATABASE_URL and MIGRATION_DATABASE_URL."""
    admin_url = Environment()["POSTGRES_ADMIN_URL"]
    if arguments == ["own"]:
        urls = Environment()["DATABASE_URL"], Environment()["MIGRATION_DATABASE_URL"]
        name = asyncio.run(provision_urls(admin_url, *urls))
        sys.stdout.write(f"the database of {name} is ready\n")
        return 0
    if arguments:
        sys.stderr.write("usage: python -m shared.provisioning [own]\n")
        return 2
    asyncio.run(_provision_all(admin_url))
    sys.stdout.write(f"{len(SERVICES)} databases ready\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
