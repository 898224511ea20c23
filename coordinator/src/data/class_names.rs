//! The names of the classes of data sets whose files hold numbers alone.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The articles of Fashion-MNIST, as its authors list them (Xiao, Rasul, Vollgraf, arXiv 1708.07747, table 2).
pub(super) const FASHION_MNIST: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The classes of CIFAR-10, as `batches.meta.txt` of its archive lists them.
pub(super) const CIFAR_10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The file of CIFAR-100's archive that lists the fine labels.
const CIFAR_100: &str = "fine_label_names.txt";

/// The most bytes that are read of a list; CIFAR-100's has about 900.
const LIST: u64 = 1 << 16;

/// Names in the form that a data set owns.
pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// The names of CIFAR-100's fine labels, from the file in `folder`, a line each. Names decide nothing, so a file that
/// is missing or lists another number of classes is no error: the classes then have numbers.
pub(super) fn cifar_100(folder: &Path) -> Option<Vec<String>> {
    let mut text = String::new();
    File::open(folder.join(CIFAR_100)).ok()?.take(LIST).read_to_string(&mut text).ok()?;
    let names: Vec<&str> = text.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    (names.len() == 100).then(|| owned(&names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_counts_if_it_has_a_name_for_every_class() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(cifar_100(folder.path()), None);
        let list: String = (0..100).map(|class| format!("name {class}\n")).collect();
        std::fs::write(folder.path().join(CIFAR_100), format!("{list}\n")).unwrap();
        assert_eq!(cifar_100(folder.path()).unwrap()[99], "name 99");
        std::fs::write(folder.path().join(CIFAR_100), format!("{list}one more\n")).unwrap();
        assert_eq!(cifar_100(folder.path()), None);
    }
}
