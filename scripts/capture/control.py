"""The messages of control planes, counted and hashed by what they are."""

import dataclasses

from chain import Chain
from violation import demand

# The names of messages that have one meaning each.
PLAIN = {"DescribeRequest": "describe", "Description": "description", "Stage": "configure", "Configured": "configured",
         "AuditRequest": "audit", "Ledger": "ledger", "Failure": "failure"}
# The names of what commands and reports hold.
ONEOFS = {"Command": ("command", {"start": "start", "lane": "lane", "snapshot": "snapshot", "align": "align"}),
          "Report": ("report", {"started": "started", "step": "step", "snapshot": "snapshot_done",
                                "align": "aligned", "leaving": "leaving"})}


@dataclasses.dataclass
class ControlRecord:
    """The messages of one kind in one direction of a control plane."""

    messages: int = 0
    bytes: int = 0
    largest: int = 0
    chain: Chain = dataclasses.field(default_factory=Chain)


def read(records, ends, name, message, data, where):
    """Add one message to the records, by (from, to, message)."""
    record = records.setdefault((*ends, word(name, message, where)), ControlRecord())
    record.messages += 1
    record.bytes += len(data)
    record.largest = max(record.largest, len(data))
    record.chain.control(bytes(data))


def word(name, message, where):
    if name not in ONEOFS:
        return PLAIN[name]
    field, words = ONEOFS[name]
    held = message.WhichOneof(field)
    demand(held in words, f"{where}: a {name} is {held or 'empty'}")
    return words[held]
