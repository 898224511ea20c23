"""Why the command stops."""


class Failure(Exception):
    """One sentence: what happened, where, and where to look."""


def demand(holds, sentence):
    """Raise the sentence unless the condition holds."""
    if not holds:
        raise Failure(sentence)
