//! The folder: files of this command are replaced, and no other file is touched.

use super::*;
use std::fs;

#[test]
fn the_command_replaces_its_own_files_and_refuses_those_of_others() {
    let temporary = tempfile::tempdir().unwrap();
    let out = &temporary.path().join("new/base");
    let read = |path: &str| fs::read_to_string(out.join(path)).ok();
    write(&made(&SPLIT).files, out).unwrap();
    fs::write(out.join("certificates/ca.pem"), "a certificate").unwrap();
    fs::write(out.join("stage-mine.yaml"), "kind: Pod\n").unwrap();
    assert!(read("stage-4-backward.yaml").is_some());

    let fewer = made(&["pipeline.stages=2"]);
    write(&fewer.files, out).unwrap();
    for file in &fewer.files {
        assert_eq!(read(&file.path).as_deref(), Some(file.text.as_str()), "{}", file.path);
    }
    for gone in ["stage-2.yaml", "stage-4.yaml", "stage-0-backward.yaml"] {
        assert_eq!(read(gone), None, "{gone}: the run has no such node");
    }
    assert!(read("certificates/ca.pem").is_some() && read("stage-mine.yaml").is_some());

    for foreign in ["", "apiVersion: v1\n", &format!("{MARK} Or so.\n")] {
        fs::write(out.join("jobset/claims.yaml"), foreign).unwrap();
        let why = write(&made(&[]).files, out).unwrap_err();
        assert_eq!(why.cause.code(), 2);
        assert!(why.sentence.ends_with("move it away, or choose another --out"), "{why}");
        assert!(why.sentence.contains("jobset/claims.yaml is there already"), "{why}");
        assert_eq!(read("run.yaml").as_deref(), Some(fewer.text("run.yaml")), "a refusal changes nothing");
        assert_eq!(read("stage-2.yaml"), None);
    }
}
