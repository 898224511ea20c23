"""The volumes of a pod as folders: claims that outlive it, empty ones, and read-only Secrets and ConfigMaps."""

import base64
import dataclasses
import os
import pathlib
import shutil

from failure import Failure, demand


@dataclasses.dataclass(frozen=True)
class Mount:
    """A folder or file of this machine at a path of a container."""

    source: str
    target: str
    is_read_only: bool


class Claims:
    """The volumes behind the PersistentVolumeClaims of one run of the cluster, a folder each."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def path(self, name):
        """The folder of this claim, made where it is not there yet."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def mounts(pod, objects, claims, folder):
    """The mounts of the pod's container. What ends with the pod is made in `folder`."""
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
    volumes.update({name: {"persistentVolumeClaim": {"claimName": claim}} for name, claim in pod.claims.items()})
    group = pod.spec.get("securityContext", {}).get("fsGroup")
    for mount in pod.container.get("volumeMounts", []):
        name = mount["name"]
        demand(name in volumes, f"pod {pod.name} mounts the volume {name}, which it does not have")
        source, is_fixed = _source(pod, volumes[name], objects, claims, pathlib.Path(folder) / name)
        _own(source, group, is_fixed)
        if "subPath" in mount:
            source = source / mount["subPath"]
            demand(source.exists(), f"pod {pod.name} mounts {mount['subPath']} of the volume {name}: it is not there")
        yield Mount(str(source), mount["mountPath"], is_fixed or mount.get("readOnly", False))


def _source(pod, volume, objects, claims, folder):
    """The folder of a volume, and whether nothing can be written there."""
    (kind, what), = ((kind, what) for kind, what in volume.items() if kind != "name")
    wanted_by = f"pod {pod.name}"
    if kind == "persistentVolumeClaim":
        if what["claimName"] not in pod.claims.values():
            objects.get("PersistentVolumeClaim", what["claimName"], wanted_by)
        return claims.path(what["claimName"]), what.get("readOnly", False)
    if kind == "emptyDir":
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
        return folder, False
    if kind == "configMap":
        document = objects.get("ConfigMap", what["name"], wanted_by)
        contents = {key: text.encode() for key, text in document.get("data", {}).items()}
    elif kind == "secret":
        document = objects.get("Secret", what["secretName"], wanted_by)
        contents = {key: base64.b64decode(text) for key, text in document.get("data", {}).items()}
    else:
        raise Failure(f"{wanted_by} has a volume of {kind}, which these pods cannot try")
    return _files(folder, _chosen(contents, what, wanted_by), what.get("defaultMode", 0o644)), True


def _chosen(contents, what, wanted_by):
    """The files of a Secret or ConfigMap: all of its keys, or those that the volume lists."""
    if "items" not in what:
        return contents
    for item in what["items"]:
        demand(item["key"] in contents, f"{wanted_by} mounts the key {item['key']}, which its volume does not have")
    return {item["path"]: contents[item["key"]] for item in what["items"]}


def _files(folder, contents, mode):
    """Files as the kubelet lays them: each a link through `..data`, which an update exchanges at once."""
    shutil.rmtree(folder, ignore_errors=True)
    first = folder / "..first"
    first.mkdir(parents=True)
    (folder / "..data").symlink_to(first.name)
    for name, text in contents.items():
        (first / name).write_bytes(text)
        (first / name).chmod(mode)
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def _own(folder, group, is_fixed):
    """Give everything in a folder to the pod's group, as fsGroup asks; folders hand the group on."""
    if group is None:
        return
    for path, _, files in os.walk(folder):
        for each in [path, *(os.path.join(path, name) for name in files)]:
            if os.path.islink(each):
                continue
            mode = os.stat(each).st_mode
            # A folder is entered, too.
            more = (0o440 if is_fixed else 0o660) | (0o2110 if os.path.isdir(each) else 0)
            os.chown(each, -1, group)
            os.chmod(each, (mode & 0o7777) | more)
