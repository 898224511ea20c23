//! The corpus test: it runs the fuzzer's code for data files on every file of the fuzzer's corpus.

#[path = "../../fuzz/decoders/data.rs"]
mod data;

use std::fs;
use std::path::PathBuf;

#[test]
fn the_corpus_is_read_or_refused() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/data");
    if std::env::var_os("NEUROPIL_WRITE_CORPUS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds() {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let files: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
    assert!(!files.is_empty(), "there is a corpus");
    files.iter().for_each(|file| data::run(&fs::read(file.path()).unwrap()));
}

/// Valid inputs, from which the fuzzer starts.
fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let idx = |magic: u32, sizes: &[u32], body: &[u8]| {
        let header = std::iter::once(magic).chain(sizes.iter().copied()).flat_map(u32::to_be_bytes);
        header.chain(body.iter().copied()).collect::<Vec<u8>>()
    };
    let labels = idx(0x801, &[2], &[9, 0]);
    let with =
        |kind: u8, images: Vec<u8>| [vec![kind, 0, labels.len() as u8], labels.clone(), images].concat();
    vec![
        ("idx3", with(0, idx(0x803, &[2, 2, 3], &[7; 12]))),
        ("idx4", with(1, idx(0x804, &[2, 2, 1, 3], &[7; 12]))),
        ("cifar10", [vec![2, 0, 0, 3], vec![5; 3072]].concat()),
        ("cifar100", [vec![3, 0, 0, 19, 99], vec![5; 3072]].concat()),
    ]
}
