"""The protocol's messages, compiled from the schema by protobuf's own compiler when the decoder starts."""

import pathlib
import tempfile

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from grpc_tools import protoc
from violation import Violation, demand

PACKAGE = "neuropil.v1"


class Schema:
    """The message types of a folder of .proto files."""

    def __init__(self, folder):
        self.pool = descriptor_pool.DescriptorPool()
        for file in compiled(folder).file:
            self.pool.Add(file)

    def call(self, path):
        """The names of the messages of a call, to and from the server, by the call's path."""
        service, _, method = path.lstrip("/").partition("/")
        found = self.pool.FindServiceByName(service).methods_by_name.get(method)
        demand(found is not None, f"the schema has no call {path}")
        return found.input_type.name, found.output_type.name

    def decode(self, name, data, where):
        """A message of this type, where the bytes are its one encoding: nothing unknown, nothing spare."""
        message = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))()
        try:
            message.ParseFromString(bytes(data))
        except DecodeError as error:
            raise Violation(f"{where}: {len(data)} bytes are no {name}: {error}") from error
        known(message, f"{where}: {name}")
        again = message.SerializeToString(deterministic=True)
        demand(again == data, lambda: f"{where}: a {name} has {len(data)} bytes, and its own encoding {len(again)}")
        return message


def compiled(folder):
    with tempfile.TemporaryDirectory() as work:
        out = pathlib.Path(work) / "schema"
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
        words = ["protoc", f"-I{folder}", "--include_imports", f"--descriptor_set_out={out}", *files]
        demand(protoc.main(words) == 0, f"protoc does not compile the schema in {folder}")
        return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())


def known(message, where):
    """Refuse fields and words that the schema does not have, at any depth."""
    unknown = [field.field_number for field in UnknownFieldSet(message)]
    demand(not unknown, lambda: f"{where} has the unknown fields {unknown}")
    for field, value in message.ListFields():
        values = value if field.is_repeated else [value]
        if field.message_type is not None:
            for each in values:
                known(each, f"{where}.{field.name}")
        elif field.enum_type is not None:
            words = field.enum_type.values_by_number
            demand(all(each in words for each in values), lambda: f"{where}.{field.name} is none of its words: {value}")
