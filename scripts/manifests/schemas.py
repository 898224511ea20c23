"""Objects against the schemas of Kubernetes, strictly: an unknown field fails, and so does a kind without a schema."""

import functools
import json

import kubernetes_validate
import yaml
from fault import Fault, name

VERSIONS = ["1.34", "1.35", "1.36", "1.37"]

# The validator reads a version's definitions from disk for every object.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


class Loader(yaml.CSafeLoader):
    """A loader that refuses a key that stands twice, of which Kubernetes would take the last."""


def mapping(loader, node):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise Fault(f"the key {key!r} stands twice in one mapping{node.start_mark}")
    return loader.construct_mapping(node, deep=True)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)


def objects(text):
    """The objects of a YAML stream, each with a kind and a name of its own."""
    found = [object for object in yaml.load_all(text, Loader) if object is not None]
    names = [name(object) for object in found]
    for each in names:
        if names.count(each) > 1:
            raise Fault(f"{each} stands there twice")
    return found


def faults(objects):
    """What the schemas of any version forbid."""
    return [fault for object in objects for version in VERSIONS for fault in checked(json.dumps(object), version)]


@functools.cache
def checked(text, version):
    """The faults of an object, given as JSON: most objects stand in several overlays."""
    object = json.loads(text)
    try:
        used = kubernetes_validate.validate(object, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        path = ".".join(map(str, error.absolute_path))
        return [f"{name(object)}: Kubernetes {version} refuses {path or 'its top'}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError as error:
        return [f"{name(object)}: {error.message}"]
    # Without the schemas of a version the validator takes those of an older one.
    return [] if used == version else [f"the validator has no schemas of Kubernetes {version}, only of {used}"]
