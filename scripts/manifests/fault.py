"""A fault of what is checked, as a sentence."""


class Fault(Exception):
    pass


def name(object):
    """How sentences name an object."""
    return f"{object.get('kind')} {object.get('metadata', {}).get('name')}"
