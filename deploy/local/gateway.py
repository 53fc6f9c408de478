"""The gateway as one ordinary process of ours, from the same template that containers use."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.folder import CHECKOUT, write_private
from local.processes import Program

TEMPLATE = CHECKOUT / "deploy" / "gateway" / "nginx.conf.template"

# Limits are there for the public; one person's machine, and its load tests, shall not meet them.
WIDE_OPEN = {
    "GATEWAY_RATE_PER_SECOND": "100000",
    "GATEWAY_RATE_BURST": "100000",
    "GATEWAY_REQUESTS_AT_ONCE": "60000",
}


def fill_in(template: str, values: Mapping[str, str]) -> str:
    """Fill every ${CAPITAL}; nginx's own $variables stay. A name without a value is a KeyError."""
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], template)


@dataclass(frozen=True)
class Gateway:
    """nginx on one port, in front of the services."""

    nginx: Path
    folder: Path
    port: int
    upstreams: Mapping[str, str]
    """Service name to host:port; of several copies with commas between them."""
    files: int
    settings: Mapping[str, str] = field(default_factory=dict)
    template: Path = TEMPLATE
    reloads: bool = False
    """Whether SIGHUP makes it read its configuration anew; killing it then leaves its workers."""

    def create(self) -> None:
        """Write the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        values = {
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "GATEWAY_FILES": str(self.files),
            "GATEWAY_CONNECTIONS": str(self.files // 2),
            "GATEWAY_RESOLVER": "127.0.0.1",
            "GATEWAY_TRUSTED_PROXIES": "unix:",
            **WIDE_OPEN,
            **self.settings,
        }
        for service, address in self.upstreams.items():
            values[f"{service.upper().replace('-', '_')}_ADDRESS"] = address.replace(
                ",", " max_fails=0; server "
            )
        write_private(self.folder / "nginx.conf", fill_in(self.template.read_text(), values))

    def command(self) -> tuple[str, ...]:
        # One process: killing it leaves no worker behind that would keep the port.
        alone = "" if self.reloads else " master_process off;"
        return (
            *(str(self.nginx), "-p", f"{self.folder}/", "-c", "nginx.conf", "-e", "stderr"),
            *("-g", f"daemon off;{alone}"),
        )

    def program(self) -> Program:
        return Program(name="gateway", group="edge", command=self.command(), folder=self.folder)
