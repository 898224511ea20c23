"""What a capture should not hold, as a sentence that says where it was seen."""


class Violation(Exception):
    """One thing on the wire that the protocol, or the ledger, does not explain."""


def demand(holds, sentence):
    """Raise the sentence, which is a string or a function that makes one, unless the condition holds."""
    if not holds:
        raise Violation(sentence if isinstance(sentence, str) else sentence())
