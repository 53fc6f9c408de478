"""Five databases with two roles each, and the services' migrations."""

import asyncio
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from alembic.config import Config
from alembic.script import ScriptDirectory

from local.folder import RunFolder
from local.services import SERVICES, Service
from shared.migrations import upgrade
from shared.provisioning import provision


class Databases:
    """Each service's URLs on one PostgreSQL server."""

    def __init__(self, admin_url: str, folder: RunFolder) -> None:
        self._admin_url = admin_url
        self._passwords = {
            role: folder.secret(f"database {role}")
            for service in SERVICES
            for role in (service.package, f"{service.package}_owner")
        }

    def urls(self) -> Mapping[str, str]:
        """Service name to the URL that it runs with."""
        return {service.name: self._url(service, service.package) for service in SERVICES}

    def owner_urls(self) -> Mapping[str, str]:
        """Service name to the URL that its migrations run with."""
        return {
            service.name: self._url(service, f"{service.package}_owner") for service in SERVICES
        }

    def _url(self, service: Service, role: str) -> str:
        parts = urlsplit(self._admin_url)
        server = parts.netloc.rpartition("@")[2]
        login = f"{role}:{quote(self._passwords[role], safe='')}@{server}"
        return urlunsplit((parts.scheme, login, f"/{service.package}", parts.query, ""))

    async def provide(self) -> None:
        """Create what is missing."""
        await asyncio.gather(
            *(
                provision(
                    self._admin_url,
                    service.package,
                    password=self._passwords[service.package],
                    owner_password=self._passwords[f"{service.package}_owner"],
                )
                for service in SERVICES
            )
        )

    async def migrate(self) -> int:
        """Bring every database up to its service's newest migration; how many were behind."""
        owners = self.owner_urls()
        behind = [s for s in SERVICES if await _revision(owners[s.name]) != _newest_revision(s)]
        # One after the other in this process: Alembic's imports take longer than the migrations.
        for service in behind:
            await asyncio.to_thread(upgrade, service.folder, owners[service.name])
        return len(behind)


async def _revision(url: str) -> str | None:
    connection = await asyncpg.connect(url)
    try:
        revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
    return revision


def _newest_revision(service: Service) -> str | None:
    return ScriptDirectory.from_config(Config(service.folder / "alembic.ini")).get_current_head()
