"""Every PromQL expression of rules and dashboards, and what it asks of the metrics there are."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
from ruamel.yaml import YAML

from local.folder import CHECKOUT

FOLDER = CHECKOUT / "deploy" / "observability"
RULE_FILES = sorted((FOLDER / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((FOLDER / "grafana" / "dashboards").glob("*.json"))

Labels = Mapping[str, Collection[str]]
"""For each metric, as samples are named, the labels that it has."""

OF_TARGETS = frozenset({"job", "instance", "service", "process"})
"""Prometheus gives these to everything it scrapes here."""
OF_PROMETHEUS = {"up": (), "ALERTS": ("alertname", "alertstate", "severity")}


@dataclass(frozen=True)
class Expression:
    place: str
    text: str
    record: str | None = None
    """The name under which a rule keeps what comes of it."""

    @property
    def tree(self) -> Any:
        return promql.parse(self.text)

    def selectors(self) -> Iterator[tuple[str, set[str]]]:
        """Each metric, and the labels by which it is chosen."""
        for node in nodes(self.tree):
            if isinstance(node, promql.VectorSelector):
                yield node.name, {matcher.name for matcher in node.matchers.matchers}

    def groupings(self) -> Iterator[tuple[set[str], set[str]]]:
        """The labels of each grouping, and the metrics that must have them."""
        for node in nodes(self.tree):
            if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
                metrics = {
                    inner.name
                    for inner in nodes(node.expr)
                    if isinstance(inner, promql.VectorSelector)
                }
                yield set(node.modifier.labels), metrics


def nodes(tree: Any) -> list[Any]:
    """The expression and everything in it."""
    inner: list[Any] = []
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        if (child := getattr(tree, name, None)) is not None:
            inner.append(child)
    inner += getattr(tree, "args", None) or []
    return [tree, *(each for child in inner for each in nodes(child))]


def rules(path: Path) -> list[dict[str, Any]]:
    groups = YAML(typ="safe").load(path)["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for path in RULE_FILES for rule in rules(path) if "alert" in rule]


def expressions() -> list[Expression]:
    found = [
        Expression(
            f"{path.name} {rule.get('alert') or rule['record']}", rule["expr"], rule.get("record")
        )
        for path in RULE_FILES
        for rule in rules(path)
    ]
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [
                Expression(f"{path.name} {panel['title']}", target["expr"])
                for target in panel["targets"]
            ]
    return found


def recorded(all_of_them: Collection[Expression]) -> dict[str, set[str]]:
    """The recorded metrics and the labels that are left of their sources."""
    found: dict[str, set[str]] = {}
    for each in all_of_them:
        if each.record is not None:
            labels = [grouping for grouping, _ in each.groupings()]
            found[each.record] = set().union(*labels) - {"le"}
    return found


def faults(known: Labels) -> list[str]:
    """What rules and dashboards name that does not exist."""
    every = expressions()
    names = {name: {*labels, *OF_TARGETS} for name, labels in {**known, **OF_PROMETHEUS}.items()}
    names |= recorded(every)
    found = []
    for each in every:
        for metric, chosen_by in each.selectors():
            if metric not in names:
                found.append(f"{each.place}: there is no {metric}")
            elif unknown := chosen_by - names[metric]:
                found.append(f"{each.place}: {metric} has no {', '.join(sorted(unknown))}")
        for grouping, metrics in each.groupings():
            for metric in metrics & names.keys():
                if unknown := grouping - names[metric]:
                    found.append(f"{each.place}: {metric} has no {', '.join(sorted(unknown))}")
    return found
