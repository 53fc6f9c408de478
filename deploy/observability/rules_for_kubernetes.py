"""Prints the Prometheus rules as one PrometheusRule; `make rules` keeps it in deploy/k8s."""

import sys
from pathlib import Path

from ruamel.yaml import YAML

_RULES = Path(__file__).parent / "prometheus" / "rules"
_HEAD = "# Written by `make rules` from deploy/observability/prometheus/rules: change it there.\n"


def main() -> None:
    yaml = YAML()
    yaml.width = 200
    yaml.indent(mapping=2, sequence=4, offset=2)
    groups = [group for path in sorted(_RULES.glob("*.yml")) for group in yaml.load(path)["groups"]]
    sys.stdout.write(_HEAD)
    yaml.dump(
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "medic", "namespace": "medic"},
            "spec": {"groups": groups},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
