"""The queries of the alerts and of the dashboard, read by a parser of PromQL."""

import json
import re

import promql_parser
import schemas

# What Grafana puts into a query before Prometheus reads it.
INTERVAL = re.compile(r"\$__rate_interval|\$__interval|\$__range")


def faults(text):
    """The queries of the rendered overlay that do not parse. That there are any is part of the check."""
    objects = schemas.objects(text)
    found = [*alerts(objects), *panels(objects)]
    whence = {where.split()[0] for where, _ in found}
    wrong = [f"there is no query of any {kind}" for kind in ("alert", "panel") if kind not in whence]
    for where, query in found:
        try:
            promql_parser.parse(INTERVAL.sub("5m", query))
        except ValueError as error:
            wrong.append(f"the query of the {where}: {error}: {query}")
    return wrong


def alerts(objects):
    for object in objects:
        if object["kind"] == "PrometheusRule":
            for group in object["spec"]["groups"]:
                for rule in group["rules"]:
                    yield f"alert {rule['alert']}", rule["expr"]


def panels(objects):
    for object in objects:
        if object["kind"] == "ConfigMap" and "grafana_dashboard" in object["metadata"].get("labels", {}):
            for text in object["data"].values():
                for panel in json.loads(text)["panels"]:
                    for target in panel["targets"]:
                        yield f"panel '{panel['title']}'", target["expr"]
