"""Custom resources against a table of their fields: no package has their schemas.

The table is stricter than the clusters are: a field that is not in it is refused, whether or not some release knows it.
Every table names the source that its fields were read from, in the repository of the project that defines the kind.
Each kind has a table of its spec. In a table, a key with `!` is required; a value is a type: a class below, a list of
one type, a table, or a function.
"""

import re

from fault import name


class Text:
    def __init__(self, pattern=".+"):
        self.pattern = re.compile(pattern, re.DOTALL)

    def faults(self, value):
        if not isinstance(value, str):
            yield f"is no text but {value!r}"
        elif not self.pattern.fullmatch(value):
            yield f"is {value!r}, which does not match {self.pattern.pattern}"


class Choice:
    def __init__(self, *words):
        self.words = words

    def faults(self, value):
        if value not in self.words:
            yield f"is {value!r}, and none of {', '.join(self.words)}"


class Whole:
    def faults(self, value):
        if type(value) is not int or value < 0:
            yield f"is no whole number but {value!r}"


class Truth:
    def faults(self, value):
        if type(value) is not bool:
            yield f"is neither true nor false but {value!r}"


class Map:
    """Texts by texts, as labels and annotations are."""

    def faults(self, value):
        if not isinstance(value, dict) or not all(isinstance(word, str) for pair in value.items() for word in pair):
            yield f"is no mapping of texts to texts but {value!r}"


class Builtin:
    """A part that is as in a kind of Kubernetes, whose schemas check it."""

    def __init__(self, version, kind):
        self.version, self.kind = version, kind

    def object(self, value):
        return {"apiVersion": self.version, "kind": self.kind, **value}


LABEL = Text(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
NAME = Text(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
# Go's durations, which Certificates have.
GO_DURATION = Text(r"([0-9]+(h|m|s))+")
# pkg/apis/monitoring/v1/types.go: Duration
DURATION = Text(r"(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?")
SELECTOR = {"matchLabels": Map(),
            "matchExpressions": [{"key!": Text(), "operator!": Choice("In", "NotIn", "Exists", "DoesNotExist"),
                                  "values": [Text()]}]}

# kubernetes-sigs/jobset, api/jobset/v1alpha2/jobset_types.go. The strategy InPlaceRestart is left out, since a feature
# gate has to be on for it.
JOBSET = {
    "replicatedJobs!": [{
        "name!": LABEL,
        "groupName": LABEL,
        "replicas": Whole(),
        "template!": Builtin("batch/v1", "Job"),
        "dependsOn": [{"name!": LABEL, "status!": Choice("Ready", "Complete")}],
    }],
    "network": {"enableDNSHostnames": Truth(), "subdomain": LABEL, "publishNotReadyAddresses": Truth()},
    "successPolicy": {"operator!": Choice("All", "Any"), "targetReplicatedJobs": [LABEL]},
    "failurePolicy": {
        "maxRestarts": Whole(),
        "restartStrategy": Choice("Recreate", "BlockingRecreate"),
        "rules": [{"name!": Text("[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"),
                   "action!": Choice("FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"),
                   "onJobFailureReasons": [Text()], "targetReplicatedJobs": [LABEL]}],
    },
    "suspend": Truth(),
    "coordinator": {"replicatedJob!": LABEL, "jobIndex": Whole(), "podIndex": Whole()},
    "managedBy": Text(),
    "ttlSecondsAfterFinished": Whole(),
}

# prometheus-operator/prometheus-operator, pkg/apis/monitoring/v1/types.go: RelabelConfig
RELABELING = {"sourceLabels": [Text("[a-zA-Z_][a-zA-Z0-9_]*")], "separator": Text(),
              "targetLabel": Text("[a-zA-Z_][a-zA-Z0-9_]*"), "regex": Text(), "replacement": Text(),
              "action": Choice("replace", "keep", "drop", "labelmap", "labeldrop", "labelkeep", "hashmod")}
# …, pkg/apis/monitoring/v1/podmonitor_types.go, without what these manifests have no use for
POD_MONITOR = {
    "jobLabel": Text(),
    "podTargetLabels": [Text()],
    "selector!": SELECTOR,
    "namespaceSelector": {"any": Truth(), "matchNames": [NAME]},
    "sampleLimit": Whole(),
    "podMetricsEndpoints!": [{
        "port!": LABEL,
        "path": Text("/.*"),
        "scheme": Choice("http", "https"),
        "interval": DURATION,
        "scrapeTimeout": DURATION,
        "honorLabels": Truth(),
        "filterRunning": Truth(),
        "relabelings": [RELABELING],
        "metricRelabelings": [RELABELING],
    }],
}
# …, pkg/apis/monitoring/v1/prometheusrule_types.go
PROMETHEUS_RULE = {
    "groups!": [{
        "name!": Text(),
        "interval": DURATION,
        "rules!": [{"alert!": Text("[A-Za-z][A-Za-z0-9]*"), "expr!": Text(), "for": DURATION, "labels!": Map(),
                    "annotations!": Map()}],
    }],
}

# cert-manager/cert-manager, pkg/apis/certmanager/v1/types.go: KeyUsage, as far as TLS goes
USAGE = Choice("signing", "digital signature", "key encipherment", "key agreement", "cert sign", "crl sign",
               "server auth", "client auth")
# …, pkg/apis/certmanager/v1/types_certificate.go
CERTIFICATE = {
    "secretName!": NAME,
    "issuerRef!": {"name!": NAME, "kind": Choice("Issuer", "ClusterIssuer"), "group": Choice("cert-manager.io")},
    "commonName": Text(".{1,64}"),
    "subject": {"organizations": [Text()]},
    "duration": GO_DURATION,
    "renewBefore": GO_DURATION,
    "dnsNames": [NAME],
    "uris": [Text("[a-z]+:.+")],
    "isCA": Truth(),
    "usages": [USAGE],
    "privateKey": {"rotationPolicy": Choice("Never", "Always"), "encoding": Choice("PKCS1", "PKCS8"),
                   "algorithm": Choice("RSA", "ECDSA", "Ed25519"), "size": Whole()},
    "secretTemplate": {"labels": Map(), "annotations": Map()},
    "revisionHistoryLimit": Whole(),
}
# …, pkg/apis/certmanager/v1/types_issuer.go: the two kinds of issuers that need nothing outside the cluster
ISSUER = {"selfSigned": {}, "ca": {"secretName!": NAME}}

SPECS = {
    ("jobset.x-k8s.io/v1alpha2", "JobSet"): JOBSET,
    ("monitoring.coreos.com/v1", "PodMonitor"): POD_MONITOR,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PROMETHEUS_RULE,
    ("cert-manager.io/v1", "Certificate"): CERTIFICATE,
    ("cert-manager.io/v1", "Issuer"): ISSUER,
}


def describes(object):
    """Whether the table has the object's kind."""
    return (object.get("apiVersion"), object.get("kind")) in SPECS


def check(object):
    """The faults of an object whose kind is in the table, and objects in its place for the schemas of Kubernetes."""
    spec = SPECS[object["apiVersion"], object["kind"]]
    # The metadata of all kinds is one type.
    embedded = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": object.get("metadata")}]
    rest = {key: value for key, value in object.items() if key not in ("apiVersion", "kind", "metadata")}
    faults = [f"{name(object)}: {path} {fault}" for path, fault in differences(rest, {"spec!": spec}, "", embedded)]
    if spec is ISSUER and len(object.get("spec") or {}) != 1:
        faults.append(f"{name(object)}: an issuer is of exactly one kind")
    return faults, embedded


def differences(value, type, path, embedded):
    """The places where `value` is not of `type`, with the reason; what schemas have to check goes to `embedded`."""
    if isinstance(type, list):
        if not isinstance(value, list) or not value:
            yield path, f"is no list with elements but {value!r}"
        else:
            for index, element in enumerate(value):
                yield from differences(element, type[0], f"{path}[{index}]", embedded)
    elif isinstance(type, dict):
        yield from fields(value, type, path, embedded)
    elif isinstance(type, Builtin):
        object = type.object(value)
        # A template's metadata needs no name; an object's does.
        object["metadata"] = {"name": f"of{path}", **(value.get("metadata") or {})}
        embedded.append(object)
    else:
        yield from ((path, fault) for fault in type.faults(value))


def fields(value, table, path, embedded):
    if not isinstance(value, dict):
        yield path, f"is no mapping but {value!r}"
        return
    known = {key.rstrip("!"): type for key, type in table.items()}
    for key, element in value.items():
        if key in known:
            yield from differences(element, known[key], f"{path}.{key}", embedded)
        else:
            yield f"{path}.{key}", "is no field that the table has"
    for key in table:
        if key.endswith("!") and key.rstrip("!") not in value:
            yield f"{path}.{key.rstrip('!')}", "is missing"
