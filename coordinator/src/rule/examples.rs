//! A test of `docs/adding-a-rule/`: the patches there fit the files as they are.

use std::fs;
use std::path::Path;

/// The lines of a hunk as they stand before the patch.
fn before(hunk: &str) -> String {
    let lines = hunk.split_inclusive('\n').skip(1);
    lines.filter_map(|line| line.strip_prefix([' ', '-'])).collect()
}

#[test]
fn the_patches_of_the_documents_fit_in_at_most_four_files() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let page = fs::read_to_string(root.join("docs/adding-a-rule.md")).unwrap();
    let mut patches = 0;
    for entry in fs::read_dir(root.join("docs/adding-a-rule")).unwrap() {
        let path = entry.unwrap().path();
        let patch = fs::read_to_string(&path).unwrap();
        assert!(page.contains(&patch), "docs/adding-a-rule.md does not show {} as it is", path.display());
        let files: Vec<&str> = patch.split("diff --git ").skip(1).collect();
        assert!((1..=4).contains(&files.len()), "{} changes {} files", path.display(), files.len());
        for file in files {
            let name = file.lines().find_map(|line| line.strip_prefix("+++ b/")).unwrap();
            let text = fs::read_to_string(root.join(name)).unwrap_or_default();
            assert_eq!(text.is_empty(), file.contains("\n--- /dev/null"), "{name} of {}", path.display());
            for hunk in file.split("\n@@ ").skip(1).map(before).filter(|hunk| !hunk.is_empty()) {
                let fits = text.matches(&hunk).count();
                assert_eq!(fits, 1, "{} does not fit {name}: make it anew, see its page", path.display());
            }
        }
        patches += 1;
    }
    assert_eq!(patches, 2);
}
