#!/usr/bin/env python3
"""Certificates of strangers, which no program of a deployment may believe: strangers.py CERTIFICATES OUT.

CERTIFICATES is a folder that `coordinator certificates` made, with the key of its CA. Each stranger gets two
certificates in OUT, one as a coordinator and one as stage 0 (NAME-coordinator.pem, NAME-stage-0.pem, and their keys),
with one thing wrong and everything else as it should be.
"""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
DAY = datetime.timedelta(days=1)


def name(*words):
    kinds = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    return x509.Name([x509.NameAttribute(kind, word) for kind, word in zip(kinds, words)])


class Authority:
    """A CA that signs."""

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    @classmethod
    def read(cls, folder):
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        return cls(certificate, serialization.load_pem_private_key((folder / "ca-key.pem").read_bytes(), None))

    @classmethod
    def new(cls, subject):
        """Another CA of this name."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now - DAY,
                                          now + DAY)
        builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    def issue(self, identity, usages, valid):
        """A certificate for an identity, and its key."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
        subject = name(identity.split(":")[1], identity.split(":", 2)[2])
        builder = x509.CertificateBuilder(self.certificate.subject, subject, key.public_key(),
                                          x509.random_serial_number(), now + valid[0], now + valid[1])
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)])
        return builder.add_extension(names, False).sign(self.key, hashes.SHA256()), key


def strangers(authority, deployment):
    """Name, CA, deployment, usages and time of each stranger."""
    usages, valid = {"coordinator": [CLIENT], "stage:0": [SERVER, CLIENT]}, (-DAY, DAY)
    yield "other-ca", Authority.new(name("other", "Another CA")), deployment, usages, valid
    yield "forged-ca", Authority.new(authority.certificate.subject), deployment, usages, valid
    yield "other-deployment", authority, f"{deployment}-2", usages, valid
    yield "expired", authority, deployment, usages, (-2 * DAY, -DAY)
    yield "early", authority, deployment, usages, (DAY, 2 * DAY)
    yield "other-use", authority, deployment, {"coordinator": [SERVER], "stage:0": [CLIENT]}, valid


def deployment_of(folder):
    certificate = x509.load_pem_x509_certificate((folder / "coordinator.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)[0].split(":")[1]


def main():
    folder, out = map(pathlib.Path, sys.argv[1:])
    out.mkdir(exist_ok=True)
    for stranger, authority, deployment, usages, valid in strangers(Authority.read(folder), deployment_of(folder)):
        for role, uses in usages.items():
            certificate, key = authority.issue(f"neuropil:{deployment}:{role}", uses, valid)
            stem = f"{stranger}-{role.replace(':', '-')}"
            (out / f"{stem}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
            secret = out / f"{stem}-key.pem"
            secret.touch(0o600)
            secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                 serialization.NoEncryption()))


main()
