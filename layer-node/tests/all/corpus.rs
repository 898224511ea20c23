//! Test of the fuzzer's corpus of snapshots: every file goes through the fuzzer's own function.

#[path = "../../../fuzz/decoders/state.rs"]
mod state;

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_of_snapshots_is_read_or_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/state");
    if std::env::var_os("NEUROPIL_WRITE_CORPUS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in seeds() {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
    let files: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
    assert!(!files.is_empty(), "state has a corpus");
    files.iter().for_each(|file| state::run(&fs::read(file.path()).unwrap()));
}

/// A snapshot, and two files that are not snapshots: a file without metadata, as torch's `save_file` writes it, and a
/// file whose header has a length that no sum holds.
fn seeds() -> [(&'static str, Vec<u8>); 3] {
    let tensor = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let said = r#"{"__metadata__":{"format":"1","step":"7","run":"run"},"#;
    let endless = r#"{"__metadata__":{},"w":{"data_offsets":[0,18446744073709551615]}}"#;
    [
        ("snapshot", file(&format!("{said}{tensor}}}"))),
        ("found_without_metadata", file(&format!("{{{tensor}}}"))),
        ("found_a_length_beyond_all_sums", file(endless)),
    ]
}

fn file(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat()
}
