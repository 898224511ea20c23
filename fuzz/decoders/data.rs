//! Opens data sets, for the fuzzer and for the corpus test.

use coordinator::data::{Choice, DataKind, Split, open};
use std::cell::OnceCell;

/// The first byte gives the format. In a format of two files, the next two bytes give the length of the file of
/// labels.
pub fn run(bytes: &[u8]) {
    let [kind, high, low, rest @ ..] = bytes else { return };
    let labels = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
    let (kind, files): (_, Vec<(&str, &[u8])>) = match kind % 4 {
        0 => (
            DataKind::Idx,
            vec![("t10k-labels-idx1-ubyte", &rest[..labels]), ("t10k-images-idx3-ubyte", &rest[labels..])],
        ),
        1 => (
            DataKind::Idx,
            vec![("t10k-labels-idx1-ubyte", &rest[..labels]), ("t10k-images-idx4-ubyte", &rest[labels..])],
        ),
        2 => (DataKind::Cifar10, vec![("test_batch.bin", rest)]),
        _ => (DataKind::Cifar100, vec![("test.bin", rest)]),
    };
    thread_local!(static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() });
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().unwrap()).path();
        for (name, content) in &files {
            std::fs::write(folder.join(name), content).unwrap();
        }
        match open(kind, &Choice::all(folder, Split::Test, 100)) {
            Err(error) => assert!(error.to_string().len() < 2000, "a refusal is a sentence"),
            Ok(data) => {
                let [channels, height, width] = data.shape();
                assert!((0..data.len()).all(|at| {
                    let (image, label) = (data.pixels(0, at).unwrap(), data.label(at).unwrap());
                    image.len() == channels * height * width && label < 100
                }));
            }
        }
        for (name, _) in &files {
            std::fs::remove_file(folder.join(name)).unwrap();
        }
    });
}
