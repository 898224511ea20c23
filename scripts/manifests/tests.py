"""Tests of the checks by themselves: python3 scripts/manifests/tests.py, with PYTHONPATH as for the checks.

Each check gets an object that passes, and the same object with one fault, which it has to name.
"""

import copy
import sys
import unittest

sys.dont_write_bytecode = True
import custom
import queries
import schemas
from fault import Fault

POD = {"metadata": {"labels": {"a": "b"}},
       "spec": {"restartPolicy": "Never",
                "containers": [{"name": "c", "image": "i", "startupProbe": {"grpc": {"port": 7102}},
                                "securityContext": {"capabilities": {"drop": ["ALL"]}}}]}}
JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": {"template": POD}}
JOBSET = {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"name": "s"},
          "spec": {"replicatedJobs": [{"name": "stage-0", "replicas": 1, "template": {"spec": JOB["spec"]}}],
                   "successPolicy": {"operator": "All", "targetReplicatedJobs": ["stage-0"]}}}
RULE = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "r"},
        "spec": {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "sum(x) > 0", "for": "5m", "labels": {},
                                                     "annotations": {"summary": "s"}}]}]}}
CERTIFICATE = {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "c"},
               "spec": {"secretName": "c-tls", "issuerRef": {"name": "ca"}, "uris": ["neuropil:demo:stage:0"],
                        "duration": "2160h", "usages": ["client auth", "server auth"]}}
ISSUER = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "i"},
          "spec": {"ca": {"secretName": "s"}}}


def found(object):
    """All faults of an object, as the checks find them."""
    if not custom.describes(object):
        return schemas.faults([object])
    faults, embedded = custom.check(object)
    return faults + schemas.faults(embedded)


def changed(object, path, value):
    """The object with another value at the path; `None` takes the field away."""
    object = copy.deepcopy(object)
    *above, last = path
    place = object
    for key in above:
        place = place[key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return object


CONTAINER = ("spec", "template", "spec", "containers", 0)
IN_SET = ("spec", "replicatedJobs", 0, "template", *CONTAINER)
RULES = ("spec", "groups", 0, "rules", 0)
# An object, the path of a change to it, the value there, and a word that the fault has to say.
FAULTS = [
    (JOB, (*CONTAINER, "imagePullPolice"), "Always", "imagePullPolice"),
    (JOB, (*CONTAINER, "startupProbe", "grpc", "port"), "health", "port"),
    (JOB, (*CONTAINER, "securityContext", "capabilities", "drop"), "ALL", "drop"),
    (JOB, ("spec", "podReplacement"), "Failed", "podReplacement"),
    (JOB, ("spec", "backoffLimit"), "6", "backoffLimit"),
    (JOB, ("spec", "template"), None, "template"),
    (JOB, ("apiVersion",), "batch/v2", "schema"),
    (JOB, ("kind",), "Jop", "schema"),
    (JOBSET, (*IN_SET, "imagePullPolice"), "Always", "imagePullPolice"),
    (JOBSET, ("metadata", "label"), {}, "label"),
    (JOBSET, ("spec", "suspended"), True, "suspended"),
    (JOBSET, ("spec", "suspend"), "true", "suspend"),
    (JOBSET, ("spec", "failurePolicy"), {"restartStrategy": "InPlaceRestart"}, "restartStrategy"),
    (JOBSET, ("spec", "replicatedJobs", 0, "name"), "Stage_0", "name"),
    (JOBSET, ("spec", "replicatedJobs"), [], "replicatedJobs"),
    (JOBSET, ("spec", "successPolicy", "operator"), None, "operator"),
    (JOBSET, ("apiVersion",), "jobset.x-k8s.io/v1", "schema"),
    (RULE, (*RULES, "for"), "five minutes", "for"),
    (RULE, (*RULES, "severity"), "critical", "severity"),
    (CERTIFICATE, ("spec", "issuerRef", "kind"), "CA", "kind"),
    (CERTIFICATE, ("spec", "duration"), "90d", "duration"),
    (CERTIFICATE, ("spec", "usages", 0), "client-auth", "usages"),
    (CERTIFICATE, ("spec", "uris"), "neuropil:demo:stage:0", "uris"),
    (ISSUER, ("spec", "selfSigned"), {}, "exactly one"),
]


class Checks(unittest.TestCase):
    def test_an_object_passes_and_with_one_fault_it_does_not(self):
        for object in [JOB, JOBSET, RULE, CERTIFICATE, ISSUER]:
            self.assertEqual(found(object), [], object["kind"])
        for object, path, value, word in FAULTS:
            with self.subTest(kind=object["kind"], path=path, value=value):
                faults = found(changed(object, path, value))
                self.assertTrue(any(word in fault for fault in faults), faults)

    def test_a_fault_is_found_for_every_version(self):
        faults = schemas.faults([changed(JOB, ("spec", "backoffLimits"), 6)])
        self.assertEqual(len(faults), len(schemas.VERSIONS), faults)

    def test_a_stream_has_each_key_and_each_object_once(self):
        self.assertEqual(len(schemas.objects("kind: A\n---\n---\nkind: B\n")), 2)
        for text in ["kind: A\nkind: B\n", "a: {b: {c: 1, c: 2}}\n", "kind: A\n---\nkind: A\n"]:
            with self.assertRaises(Fault, msg=text):
                schemas.objects(text)

    def test_a_query_that_does_not_parse_is_named_with_its_alert_or_panel(self):
        def stream(alert, panel):
            rule = f'{{kind: PrometheusRule, spec: {{groups: [{{rules: [{{alert: A, expr: "{alert}"}}]}}]}}}}'
            board = f'{{"panels": [{{"title": "P", "targets": [{{"expr": "{panel}"}}]}}]}}'
            label = "metadata: {name: d, labels: {grafana_dashboard: '1'}}"
            return f"{rule}\n---\n{{kind: ConfigMap, {label}, data: {{d: '{board}'}}}}\n"

        good = "rate(x[$__rate_interval])"
        self.assertEqual(queries.faults(stream("x > 0", good)), [])
        self.assertIn("alert A", queries.faults(stream("sum by (a x", good))[0])
        self.assertIn("panel 'P'", queries.faults(stream("x > 0", "rate(x)"))[0])
        self.assertIn("no query of any alert", queries.faults(stream("x", good).replace("PrometheusRule", "Rule"))[0])


unittest.main()
