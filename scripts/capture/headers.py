"""The header fields of the protocol's calls: every name is known, and every value is one of few."""

import base64
import re
from urllib.parse import unquote

from violation import Violation, demand

# What a call begins with.
REQUEST = {
    ":method": "POST",
    ":scheme": "https?",
    ":authority": r"[A-Za-z0-9.:-]{1,64}",
    ":path": r"/neuropil\.v1\.(Layer/(Exchange|Collect|Serve)|Node/[A-Z][a-z]{1,15})",
    "te": "trailers",
    "content-type": "application/grpc",
    "user-agent": r"tonic/[0-9]{1,3}(\.[0-9]{1,3}){2}",
    "neuropil-run": "[0-9a-f]{32}",
    "neuropil-incarnation": "[0-9]{1,10}",
}
# What an answer begins with.
RESPONSE = {
    ":status": "200",
    "content-type": "application/grpc",
    "date": r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
}
# What an answer ends with, also where it ends at once.
TRAILERS = {
    "grpc-status": "[0-9]{1,2}",
    "grpc-message": "[ -~]{0,6000}",
    "grpc-status-details-bin": "[A-Za-z0-9+/]{0,4000}",
}


def check(fields, known, where):
    """The header fields as a dictionary, where each is among the known ones."""
    found = {}
    for name, value in fields:
        demand(name in known, lambda: f"{where}: a header field '{name}', which is none of this protocol's")
        demand(name not in found, lambda: f"{where}: the header field '{name}' is there twice")
        said = re.fullmatch(known[name], value)
        demand(said, lambda: f"{where}: '{name}' is '{value}', which this protocol never says")
        found[name] = value
    return found


def failure(trailers, schema, where):
    """The protobuf message of a call that failed, whose sentence is the status's message; None where none failed."""
    details = trailers.get("grpc-status-details-bin")
    message = unquote(trailers.get("grpc-message", ""))
    if trailers.get("grpc-status") == "0" or details is None:
        demand(not message, lambda: f"{where}: a status with a message and without a failure: '{message}'")
        return None
    try:
        data = base64.b64decode(details + "=" * (-len(details) % 4), validate=True)
    except ValueError as error:
        raise Violation(f"{where}: the details of a failure are no base64: {error}") from error
    told = schema.decode("Failure", data, where)
    half = ", backward" if told.backward else ""
    expected = f"stage {told.stage}{half}: {told.sentence}" if told.HasField("stage") else told.sentence
    demand(message == expected, lambda: f"{where}: a failure says '{told.sentence}', and its status '{message}'")
    return data
