"""What crossed the wire beside what the run's ledger says: every number and every hash is equal."""

import re


def link_name(record):
    form = f" and form {record['form']}" if record.get("form") else ""
    return f"{record['from']} to {record['to']}, {record['kind']} of phase {record['phase']}{form}"


def control_name(record):
    return f"{record['from']} to {record['to']}, {record['message']}"


def crossed(wire):
    """The wire's records of links, as the ledger writes them."""
    return [{"from": source, "to": target, "kind": kind, "phase": phase, "form": form, "tensors": record.tensors,
             "messages": record.messages, "samples": record.samples, "bytes": record.bytes,
             "payload": record.payload, "hash": str(record.chain)}
            for (source, target, kind, phase, form), record in wire.links.items()]


def consumed(wire):
    """What training consumed, where it went on to its end from its start: all of its messages."""
    trained = [record for record in crossed(wire) if record["phase"] == "train"]
    for record in trained:
        key = tuple(record[name] for name in ("from", "to", "kind", "phase", "form"))
        record["hash"] = str(wire.links[key].consumed)
    return trained


def control(wire):
    """The wire's records of control planes, as the ledger writes them."""
    return [{"from": source, "to": target, "message": message, "messages": record.messages, "bytes": record.bytes,
             "largest": record.largest, "hash": str(record.chain)}
            for (source, target, message), record in wire.control.items()]


def differences(wire, ledger):
    """A sentence for everything in which the wire and the ledger, read from its JSON, differ."""
    yield from lists("link", link_name, crossed(wire), ledger["links"])
    yield from lists("consumed", link_name, consumed(wire), ledger["consumed"])
    yield from lists("control", control_name, control(wire), [plain(record) for record in ledger["control"]])
    # Noise of mirror steps before the first update is counted by the mirror steps.
    trained = (record.steps for (_, _, kind, phase, _), record in wire.links.items()
               if (kind, phase) == ("activation", "train"))
    steps = len(set().union(*trained))
    if steps != ledger["steps"]:
        yield f"{steps} steps crossed the wire, and the ledger has {ledger['steps']}"
    yield from (f"the ledger itself has a violation: {violation['sentence']}" for violation in ledger["violations"])


def plain(record):
    """A record whose message is spelled as the decoder spells it."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record["message"])
    return {**record, "message": words.replace(" ", "_").lower()}


def lists(what, name, ours, theirs):
    """The differences between two lists of records."""
    there = {name(record): record for record in theirs}
    for record in ours:
        other = there.pop(name(record), None)
        if other is None:
            yield f"{what} {name(record)}: {record['messages']} messages crossed the wire, and the ledger has none"
            continue
        for field, value in record.items():
            if field in other and other[field] != value:
                yield f"{what} {name(record)}: {field} is {value} on the wire and {other[field]} in the ledger"
    yield from (f"{what} {missing}: the ledger has messages, and none crossed the wire" for missing in there)
