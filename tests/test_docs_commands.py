"""Every command that a page names exists: make's targets, Python's modules, compose's services."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(CHECKOUT.glob("docs/*.md"))]
PAGES += [CHECKOUT / "bench" / "README.md"]
COMPOSE = YAML(typ="safe").load(CHECKOUT / "docker-compose.yml")["services"]
TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (CHECKOUT / "Makefile").read_text()))
# What a person types stands in a block of code or between backticks.
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def named(page: Path, pattern: str) -> set[str]:
    return {found for code in CODE.findall(page.read_text()) for found in re.findall(pattern, code)}


@each_page
def test_make_has_the_targets_that_a_page_names(page: Path) -> None:
    asked = named(page, r"\bmake (?:-s )?((?:[a-z]+-)*[a-z]+)\b(?! sense)")

    assert asked - TARGETS == set()


@each_page
def test_python_finds_the_modules_that_a_page_names(page: Path) -> None:
    modules = named(page, r"python3? -m ([a-z_]+(?:\.[a-z_]+)*)")

    lost = {name for name in modules if name not in sys.stdlib_module_names and not _found(name)}
    assert lost == set()


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@each_page
def test_compose_has_the_services_that_a_page_names(page: Path) -> None:
    several = named(page, r"docker compose (?:stop|start|restart|logs)((?: [a-z][a-z-]+)+)")
    one = named(page, r"docker compose (?:run --rm|exec) ([a-z-]+)")

    assert one | {name for line in several for name in line.split()} <= set(COMPOSE)


def test_the_pages_name_something() -> None:
    runbook = CHECKOUT / "docs" / "runbook.md"

    assert {"status", "queues", "rebuild", "audit"} <= named(runbook, r"\bmake ([a-z]+)")
    assert "shared.status" in named(runbook, r"python -m ([a-z_.]+)")
