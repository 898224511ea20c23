//! The files in `deploy/`, as far as they can be read without kustomize; and tests of what they refer to.

use crate::object::{list, text, texts};
use crate::rendering::{Rendering, root};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of the bases.
pub fn bases() -> Vec<PathBuf> {
    vec![root().join("deploy/base"), root().join("deploy/overlays/imagenet-gpu/base")]
}

/// The objects in a file.
pub fn read(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_saphyr::from_multiple(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The only object in a file.
fn read_one(path: &Path) -> Value {
    let mut objects = read(path);
    assert_eq!(objects.len(), 1, "{} has one object", path.display());
    objects.remove(0)
}

/// The objects of a base with its component `certificates`, as kustomize makes them; only the Secrets' values are
/// missing, since the files are not there.
pub fn base(folder: &Path) -> Rendering {
    let kustomization = read_one(&folder.join("kustomization.yaml"));
    let files = texts(&kustomization["resources"]);
    let mut objects: Vec<_> = files.iter().flat_map(|file| read(&folder.join(file))).collect();
    objects.extend(list(&kustomization["configMapGenerator"]).iter().map(|made| config_map(folder, made)));
    let component = read_one(&folder.join("certificates/kustomization.yaml"));
    objects.extend(list(&component["secretGenerator"]).iter().map(secret));
    Rendering { name: folder.display().to_string(), objects }
}

fn config_map(folder: &Path, generator: &Value) -> Value {
    let entry = |file: &&str| (file.to_string(), fs::read_to_string(folder.join(file)).unwrap().into());
    let data: Map<_, _> = texts(&generator["files"]).iter().map(entry).collect();
    json!({ "kind": "ConfigMap", "metadata": { "name": generator["name"] }, "data": data })
}

fn secret(generator: &Value) -> Value {
    let key = |file: &&str| (file.split('=').next().unwrap().to_owned(), Value::Null);
    let data: Map<_, _> = texts(&generator["files"]).iter().map(key).collect();
    json!({ "kind": "Secret", "metadata": { "name": generator["name"] }, "type": generator["type"], "data": data })
}

/// Every `kustomization.yaml` in a folder.
fn kustomizations(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let here = files.into_iter().filter(|path| path.ends_with("kustomization.yaml"));
    here.chain(folders.iter().flat_map(|folder| kustomizations(folder))).collect()
}

#[test]
fn every_file_that_a_kustomization_names_is_there_and_every_file_is_named() {
    let all = kustomizations(&root().join("deploy"));
    assert!(all.len() >= 10, "{all:?}");
    for path in all {
        let (folder, kustomization) = (path.parent().unwrap(), read_one(&path));
        let generated =
            list(&kustomization["configMapGenerator"]).iter().flat_map(|made| texts(&made["files"]));
        let generated = generated.map(|file| file.rsplit('=').next().unwrap());
        let patches = list(&kustomization["patches"]).iter().filter_map(|patch| patch["path"].as_str());
        let listed = ["resources", "components"].into_iter().flat_map(|key| texts(&kustomization[key]));
        let named: Vec<_> = listed.chain(generated).chain(patches).collect();
        for file in &named {
            let target = folder.join(file);
            let is_there = target.is_file() || target.join("kustomization.yaml").is_file();
            assert!(is_there, "{} names {file}", path.display());
        }
        for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()) {
            let file = file.to_string_lossy();
            let is_object = file.ends_with(".yaml") && file != "kustomization.yaml";
            assert!(!is_object || named.contains(&&*file), "{} leaves {file} out", path.display());
        }
    }
}

#[test]
fn every_image_that_an_overlay_replaces_is_that_of_its_base() {
    let mut replaced = 0;
    for base in bases().iter().map(|folder| base(folder)) {
        let images: Vec<_> =
            base.pods().iter().map(|pod| text(&pod.container()["image"]).to_owned()).collect();
        let release = format!("neuropil:{}", env!("CARGO_PKG_VERSION"));
        assert!(images.iter().all(|image| *image == release), "{}: {images:?}", base.name);
    }
    for path in kustomizations(&root().join("deploy/overlays")) {
        for image in list(&read_one(&path)["images"]) {
            assert_eq!(image["name"], "neuropil", "{}", path.display());
            replaced += 1;
        }
    }
    assert!(replaced >= 3, "{replaced} overlays replace the image");
}

#[test]
fn the_base_of_imagenet_gpu_is_what_its_command_writes() {
    let out = tempfile::tempdir().unwrap();
    let words =
        ["manifests", "--config", "examples/imagenet-gpu.toml", "--gpu", "--data", "imagenet", "--out"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_coordinator"));
    command.args(words).arg(out.path()).current_dir(root()).env_remove("NEUROPIL_DATA");
    let written = command.output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let kept = files(&root().join("deploy/overlays/imagenet-gpu/base"));
    let again = format!("run target/debug/coordinator {} deploy/overlays/imagenet-gpu/base", words.join(" "));
    let made = files(out.path());
    assert_eq!(kept.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>(), "{again}");
    for (path, text) in made {
        assert_eq!(kept[&path], text, "{} is not what the command writes: {again}", path.display());
    }
}

/// The texts of all files in a folder but keys and certificates, by their paths in it.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, text)| (name.join(below), text)));
        } else if path.extension().is_none_or(|extension| extension != "pem") {
            found.insert(name, fs::read_to_string(path).unwrap());
        }
    }
    found
}
