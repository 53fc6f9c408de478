"""The metrics that the code declares, used so far or not."""

from importlib import import_module

from prometheus_client import REGISTRY

from local.services import SERVICES

_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}


def declared() -> dict[str, set[str]]:
    """As samples are named, with their labels: what a process of each kind would show."""
    for service in SERVICES:
        for process in ("app", "worker"):
            import_module(f"{service.package}.{process}")
    found: dict[str, set[str]] = {}
    for collector in set(REGISTRY._collector_to_names):
        kind = getattr(collector, "_type", None)
        if kind is None:  # the process's own, which have samples and no labels
            for family in collector.collect():
                for sample in family.samples:
                    found.setdefault(sample.name, set()).update(sample.labels)
            continue
        for suffix in _SUFFIXES[kind]:
            labels = {"le"} if suffix == "_bucket" else set()
            found[collector._name + suffix] = {*collector._labelnames, *labels}
    return found
