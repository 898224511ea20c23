"""Tests of what this folder decides without a cluster: python3 scripts/pods/tests.py."""

import pathlib
import struct
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import environment
import health
import job
import manifest
import names
import policies
import training
import volumes
from failure import Failure
from manifest import Objects, Pod
from policies import End


def policy(selector, **spec):
    return {"spec": {"podSelector": {"matchLabels": selector}, **spec}}


def pod(container=None, **spec):
    return Pod("p", {"a": "1"}, {"key": "note"}, {"containers": [container or {}], **spec}, "p", {})


class Policies(unittest.TestCase):
    PORTS = {"data": 7100, "health": 7102}
    A, B = End("a", "run", {"is": "a"}, PORTS), End("b", "run", {"is": "b"}, PORTS)
    OTHER = End("o", "other", {"is": "a"}, {})

    def permits(self, rules, source, target, port=7100, protocol="TCP"):
        return policies.permits(rules, "run", source, target, port, protocol)

    def test_a_pod_that_no_policy_selects_is_open_in_that_direction_alone(self):
        ingress = policy({"is": "b"})
        self.assertFalse(self.permits([ingress], self.A, self.B))
        self.assertTrue(self.permits([ingress], self.B, self.A), "a policy without egress is one of ingress")

    def test_both_directions_must_let_a_connection_through(self):
        deny = policy({}, policyTypes=["Ingress", "Egress"])
        into = policy({"is": "b"}, ingress=[{"from": [{"podSelector": {"matchLabels": {"is": "a"}}}]}])
        out = policy({"is": "a"}, policyTypes=["Egress"], egress=[{"ports": [{"port": 7100}]}])
        self.assertFalse(self.permits([deny, into], self.A, self.B))
        self.assertFalse(self.permits([deny, out], self.A, self.B))
        self.assertTrue(self.permits([deny, into, out], self.A, self.B))
        self.assertFalse(self.permits([deny, into, out], self.A, self.B, 7102))
        self.assertFalse(self.permits([deny, into, out], self.A, self.B, protocol="UDP"), "TCP is the default")

    def test_a_peer_by_pod_is_of_the_policys_namespace_unless_a_namespace_is_named(self):
        labels = {"podSelector": {"matchLabels": {"is": "a"}}}
        namespace = {"namespaceSelector": {"matchLabels": {policies.NAMESPACE_NAME: "other"}}}
        for peer, inside, outside in [(labels, True, False), (namespace, False, True),
                                      ({**labels, **namespace}, False, True), ({"namespaceSelector": {}}, True, True)]:
            rules = [policy({"is": "b"}, ingress=[{"from": [peer]}])]
            self.assertEqual(self.permits(rules, self.A, self.B), inside, peer)
            self.assertEqual(self.permits(rules, self.OTHER, self.B), outside, peer)

    def test_a_port_by_name_is_the_targets(self):
        rules = [policy({"is": "b"}, ingress=[{"ports": [{"port": "health"}, {"port": "unknown"}]}])]
        self.assertTrue(self.permits(rules, self.A, self.B, 7102))
        self.assertFalse(self.permits(rules, self.A, self.B, 7100))

    def test_expressions_select_by_what_is_there_and_what_is_not(self):
        for operator, values, expected in [("In", ["a"], True), ("NotIn", ["a"], False), ("Exists", [], True),
                                           ("DoesNotExist", [], False)]:
            expression = {"key": "is", "operator": operator, "values": values}
            self.assertEqual(policies.matches({"matchExpressions": [expression]}, {"is": "a"}), expected, operator)

    def test_a_peer_that_is_not_understood_is_no_silent_hole(self):
        rules = [policy({"is": "b"}, ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}])]
        self.assertRaises(Failure, self.permits, rules, self.A, self.B)


class Jobs(unittest.TestCase):
    RULES = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
             {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [1, 2]}},
             {"action": "Count", "onExitCodes": {"containerName": "c", "operator": "In", "values": [4, 75]}}]

    def verdict(self, code, is_disrupted=False, failures=0):
        spec = {"backoffLimit": 2, "podFailurePolicy": {"rules": self.RULES}}
        found = job.verdict("j", spec, "c", code, is_disrupted, failures)
        return found.outcome, found.counts

    def test_the_first_rule_that_applies_decides(self):
        self.assertEqual(self.verdict(0), ("Complete", False))
        self.assertEqual(self.verdict(2), ("Failed", True))
        self.assertEqual(self.verdict(2, is_disrupted=True), ("Again", False))
        self.assertEqual(self.verdict(75), ("Again", True))
        self.assertEqual(self.verdict(137), ("Again", True), "no rule applies")
        self.assertEqual(self.verdict(137, failures=2), ("Failed", True), "past the backoff limit")
        self.assertEqual(self.verdict(75, is_disrupted=True, failures=2), ("Again", False))


class Manifests(unittest.TestCase):
    def test_pods_have_the_names_and_claims_of_their_controllers(self):
        template = {"metadata": {"labels": {"app.kubernetes.io/component": "s"}}, "spec": {"containers": [{}]}}
        stateful = {"kind": "StatefulSet", "metadata": {"name": "s"}, "spec": {
            "template": template, "volumeClaimTemplates": [{"metadata": {"name": "state"}}]}}
        jobset = {"kind": "JobSet", "metadata": {"name": "r"}, "spec": {
            "replicatedJobs": [{"name": "s", "template": {"spec": {"template": template}}}]}}
        first, second = manifest.pods(Objects([stateful, jobset]))
        self.assertEqual((first.name, first.claims, first.component), ("s-0", {"state": "state-s-0"}, "s"))
        self.assertRegex(second.name, "^r-s-0-0-[0-9a-f]{5}$")
        self.assertEqual(second.hostname, "r-s-0-0")
        self.assertEqual(second.labels["jobset.sigs.k8s.io/replicatedjob-name"], "s")

    def test_a_flag_is_found_in_both_ways_to_write_it(self):
        words = ["serve", "--a", "1", "--b=2=3"]
        found = [manifest.argument(pod({"args": words}), flag) for flag in ("--a", "--b", "--c")]
        self.assertEqual(found, ["1", "2=3", None])

    def test_variables_come_from_fields_keys_and_variables_before_them(self):
        objects = Objects([{"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": "v"}}])
        field = {"fieldPath": "metadata.annotations['key']"}
        env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)$$(A)"},
               {"name": "N", "valueFrom": {"fieldRef": field}},
               {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['none']"}}},
               {"name": "M", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}]
        own = pod({"env": env, "command": ["x"], "args": ["$(A)"]})
        found = environment.environment(own, {"PATH": "/bin"}, objects, {})
        self.assertEqual(found, {"PATH": "/bin", "A": "1", "B": "1$(C)$(A)", "N": "note", "E": "", "M": "v"})
        self.assertEqual(environment.command(own, found), ["x", "1"])

    def test_a_secret_is_laid_out_as_the_kubelet_does_and_what_is_missing_is_named(self):
        secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "dg=="}}
        own = pod({"volumeMounts": [{"name": "v", "mountPath": "/v"}]},
                  volumes=[{"name": "v", "secret": {"secretName": "s", "defaultMode": 0o440}}])
        with tempfile.TemporaryDirectory() as folder:
            mount, = volumes.mounts(own, Objects([secret]), None, folder)
            source = pathlib.Path(mount.source)
            self.assertEqual((source / "k").readlink(), pathlib.Path("..data/k"))
            self.assertEqual(((source / "k").read_text(), (source / "k").stat().st_mode & 0o777), ("v", 0o440))
            self.assertTrue(mount.is_read_only)
            with self.assertRaisesRegex(Failure, "pod p names the Secret s"):
                list(volumes.mounts(own, Objects([]), None, folder))

    def test_a_key_of_the_configuration_is_replaced_in_its_own_table(self):
        text = "[a]\nn = 1\n\n[b]\nn = 1\nm = 2\n[c]\n"
        self.assertEqual(training.with_key("\n" + text, "b.n", 5), "\n[a]\nn = 1\n\n[b]\nn = 5\nm = 2\n[c]\n")
        self.assertRaises(Failure, training.with_key, text, "d.n", 5)


class Wires(unittest.TestCase):
    def test_dns_answers_with_the_pods_of_a_service(self):
        service = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "1"}}}
        pods = [({"a": "1"}, "p", "10.0.0.1", True), ({"a": "1"}, "q", "10.0.0.2", False), ({}, "r", "10.0.0.3", True)]
        full = "s.run.svc.cluster.local"
        self.assertEqual(names.zone([service], "run", pods), {full: ["10.0.0.1"], f"p.{full}": ["10.0.0.1"]})
        service["spec"]["publishNotReadyAddresses"] = True
        zone = names.zone([service], "run", pods)
        self.assertEqual(zone[full], ["10.0.0.1", "10.0.0.2"])
        encoded = b"".join(bytes([len(word)]) + word.encode() for word in full.split(".")) + b"\0"
        for kind, name, code, count in [(1, encoded, 0, 2), (28, encoded, 0, 0), (1, b"\1x\0", 3, 0)]:
            query = struct.pack("!6H", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", kind, 1)
            answer = names.answer(zone, query)
            number, flags, _, answers, _, _ = struct.unpack_from("!6H", answer)
            self.assertEqual((number, flags & 15, answers), (7, code, count))
        self.assertTrue(names.answer(zone, struct.pack("!6H", 7, 0, 1, 0, 0, 0) + encoded + b"\0\1\0\1").endswith(
            bytes([10, 0, 0, 2])))

    def test_health_serves_only_where_the_answer_says_so(self):
        for payload, expected in [(b"\0\0\0\0\2\x08\1", b"\x08\1"), (b"\0\0\0\0\2\x08\2", b"\x08\2")]:
            frames = health.frame(4, 0, 0, b"") + health.frame(1, 4, 1, b"x") + health.frame(0, 0, 1, payload)
            with tempfile.TemporaryFile() as stream:
                stream.write(frames + health.frame(1, 5, 1, b"x") + b"rest")
                stream.seek(0)
                self.assertEqual(health.answer(stream), expected)


unittest.main()
