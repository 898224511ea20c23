"""What crossed the wire, as a table for people."""


def of(wire):
    rows = [("from", "to", "message", "messages", "bytes", "payload", "hash")]
    for (source, target, kind, phase, form), record in sorted(wire.links.items()):
        numbers = (str(record.messages), f"{record.bytes:,}", f"{record.payload:,}")
        names = f": {', '.join(tensor['name'] for tensor in record.tensors)}" if is_of_a_layer(source, target) else ""
        rows.append((source, target, f"{kind}, {phase}{names}", *numbers, record.chain))
    for (source, target, message), record in sorted(wire.control.items()):
        rows.append((source, target, message, str(record.messages), f"{record.bytes:,}", "", record.chain))
    rows = [(*row[:-1], str(row[-1])[:16]) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    right = (3, 4, 5)
    aligned = [[cell.rjust(width) if at in right else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths))] for row in rows]
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def is_of_a_layer(source, target):
    """Whether the halves of a stage are the ends of a link, whose messages are each of one layer."""
    return source.endswith(", backward") or target.endswith(", backward")
