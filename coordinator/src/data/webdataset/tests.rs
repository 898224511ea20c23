//! Tests of archives: all forms of tar, and faulty archives.

use std::fs;
use std::io::Write;

use super::fixtures::{archive, file, header, member, sealed};
use super::samples::{Contents, Label};
use super::tar::Members;
use super::window::Window;

/// The result of `read` for an archive of these bytes.
fn with<T>(bytes: &[u8], read: impl FnOnce(Members) -> T) -> T {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    read(Members::new(Window::new(&file, bytes.len() as u64)))
}

/// The names and data of all members, or the fault of the archive.
fn listed(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    with(bytes, |mut members| {
        let mut all = Vec::new();
        while let Some(member) = members.next()? {
            let data = members.data(&member, 1 << 20)?.expect("a small member").to_vec();
            assert_eq!(data, bytes[member.offset as usize..][..member.size as usize], "{}", member.name);
            all.push((member.name, data));
        }
        Ok(all)
    })
}

fn contents(files: &[(&str, &[u8])]) -> Contents {
    with(&archive(files), |members| Contents::read(members, "label")).unwrap()
}

/// Archives that GNU tar and Python's `tarfile` wrote (`scripts/shard_forms.py`): all hold the same files, of which one
/// has a name of 100 bytes, and one of more than that, where the form can hold it.
#[test]
fn the_forms_of_tar_that_programs_write_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/shards");
    let names = |form: &str| {
        let bytes = fs::read(format!("{folder}/{form}.tar")).unwrap();
        let all = listed(&bytes).unwrap_or_else(|fault| panic!("{form} {fault}"));
        all.into_iter().map(|(name, data)| (name, String::from_utf8(data).unwrap())).collect::<Vec<_>>()
    };
    let long = |letter: &str, bytes: usize| format!("{}/{}.cls", "f".repeat(bytes - 10), letter.repeat(5));
    let mut due = vec![("a/0.cls".to_owned(), "0".to_owned()), ("a/1.cls".into(), "1".repeat(600))];
    due.push((long("b", 100), "2".into()));
    assert_eq!(names("v7"), due);
    due.push((long("c", 150), "3".into()));
    assert_eq!(names("ustar"), due);
    due.push((format!("{}.cls", "d".repeat(300)), "4".into()));
    due.push(("é/日本.cls".into(), "5".into()));
    for form in ["gnu", "pax", "python-gnu", "python-pax"] {
        assert_eq!(names(form), due, "{form}");
    }
}

#[test]
fn sizes_beyond_octal_digits_are_read() {
    let base256 = [&[0x80][..], &[0; 10], &[3]].concat();
    let mut bytes = header(b"a.cls", &base256, b'0', b"ustar  \0", b"");
    bytes.extend([b"123".to_vec(), vec![0; 509], vec![0; 1024]].concat());
    assert_eq!(listed(&bytes).unwrap(), [("a.cls".to_owned(), b"123".to_vec())]);
    // pax's size counts, since the header's field has no room for it.
    let zero = header(b"b.cls", b"00000000000\0", b'0', b"ustar\x0000", b"");
    let bytes =
        [member("x", b'x', b"10 size=3\n"), zero, b"123".to_vec(), vec![0; 509], vec![0; 1024]].concat();
    assert_eq!(listed(&bytes).unwrap(), [("b.cls".to_owned(), b"123".to_vec())]);
}

#[test]
fn members_without_data_of_interest_are_passed_over() {
    let bytes = [
        member("folder/", b'5', b""),
        member("old folder/", 0, b""),
        header(b"link.jpg", b"00000000007\0", b'2', b"ustar\x0000", b""),
        member("global", b'g', b"13 comment=x\n"),
        member("volume", b'V', b"whatever"),
        file("./a.cls", b"1"),
    ];
    // An archive may end without closing blocks.
    assert_eq!(listed(&bytes.concat()).unwrap(), [("a.cls".to_owned(), b"1".to_vec())]);
}

#[test]
fn a_wrong_archive_is_told_its_fault_and_takes_no_memory() {
    let good = archive(&[("a.jpg", b"jpeg"), ("a.cls", b"1")]);
    let huge = |kind| header(b"a.jpg", b"77777777777\0", kind, b"ustar\x0000", b"");
    let most = [&[0x80][..], &[0, 0, 0], &[0xff; 8]].concat();
    let beyond = [&[0x80][..], &[1; 11]].concat();
    let negative = [0xff; 12];
    let mut broken = good.clone();
    broken[3] ^= 1;
    for (bytes, says) in [
        (good[..1000].to_vec(), "has at byte 0 a member of 4 bytes, but ends at byte 1000"),
        (good[..1100].to_vec(), "is cut off at byte 1024"),
        (broken, "has at byte 0 no header of a tar archive (its checksum is wrong)"),
        (b"{\"a\": 1}".repeat(200), "no header of a tar archive"),
        (Vec::new(), "is cut off at byte 0"),
        (huge(b'0'), "a member of 8589934591 bytes, but ends at byte 512"),
        (huge(b'L'), "a member of 8589934591 bytes"),
        (header(b"a", &most, b'0', b"ustar  \0", b""), "a member of 18446744073709551615 bytes"),
        (header(b"a", &beyond, b'0', b"ustar  \0", b""), "a header without a size"),
        (header(b"a", &negative, b'0', b"ustar  \0", b""), "a header without a size"),
        (header(b"a", b"-0000000001\0", b'0', b"ustar\x0000", b""), "a header without a size"),
        (header(b"a", b"0000000009x\0", b'0', b"ustar\x0000", b""), "a header without a size"),
        (member("a", b'S', b""), "a sparse file"),
        (member("x", b'x', b"22 GNU.sparse.major=1\n"), "a sparse file"),
        (member("x", b'x', b"99 path=a\n"), "a pax header that is malformed"),
        (member("x", b'x', b"0 path=a\n"), "a pax header that is malformed"),
        (member("x", b'x', b"2 path=a\n"), "a pax header that is malformed"),
        (member("x", b'x', b"9 path\na\n"), "a pax header that is malformed"),
        (member("x", b'x', b"11 size=-1\n"), "a pax header that is malformed"),
        (member("x", b'L', &[b'a'; (1 << 20) + 1]), "a header of 1048577 bytes, more than 1048576"),
        ([member("x", b'L', &[b'a'; 5000]), file("a", b"")].concat(), "a name of 5000 bytes, more than 4096"),
        (file("../a.jpg", b""), "the name \"../a.jpg\", which leads out of the archive"),
        (file("a/../../b.jpg", b""), "which leads out of the archive"),
    ] {
        let fault = listed(&bytes).unwrap_err();
        assert!(fault.contains(says), "{fault} should say: {says}");
    }
    // Any block whose checksum happens to be right.
    for seed in 0..2000u64 {
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let block: Vec<u8> = (0..512).map(|_| random()).collect();
        let _ = listed(&[sealed(block), vec![7; 1024]].concat());
    }
}

#[test]
fn files_of_one_key_are_a_sample() {
    let found = contents(&[
        ("train/n01/a.jpg", b"one"),
        ("train/n01/a.cls", b" 7\n"),
        ("b.JPEG", b"two"),
        ("b.json", b"{\"label\": 3, \"width\": 20}"),
        ("b.txt", b"a caption"),
        ("c.cls", b"1"),
        ("c.png", b""),
        ("d.json", b"{\"label\": \"tench\"}"),
        ("d.webp", b"four"),
        ("e.seg.png", b"a mask"),
        ("e.jpg", b"five"),
        ("e.cls", b"5"),
        ("e.json", b"{\"label\": 6}"),
        (".hidden.jpg", b""),
        ("README", b""),
        ("__index__.json__", b""),
    ]);
    let all: Vec<_> =
        found.samples.iter().map(|sample| (&*sample.name, sample.size, sample.label.clone())).collect();
    let due = [
        ("train/n01/a.jpg", 3, Label::Number(7)),
        ("b.JPEG", 3, Label::Number(3)),
        ("c.png", 0, Label::Number(1)),
        ("d.webp", 4, Label::Name("tench".into())),
        ("e.jpg", 4, Label::Number(5)),
    ];
    assert_eq!((&all[..], &found.left_out[..]), (&due[..], &[][..]));
}

#[test]
fn a_key_that_is_no_whole_sample_is_left_out_and_told_its_fault() {
    let long = "9".repeat(100);
    let found = contents(&[
        ("a.jpg", b""),
        ("b.cls", b"1"),
        ("a.cls", b"1"),
        ("c.jpg", b""),
        ("c.png", b""),
        ("c.cls", b"1"),
        ("d.jpg", b""),
        ("d.cls", b"cat"),
        ("e.jpg", b""),
        ("e.cls", b"-1"),
        ("f.jpg", b""),
        ("f.cls", long.as_bytes()),
        ("g.jpg", b""),
        ("g.json", b"{\"class\": 1}"),
        ("h.jpg", b""),
        ("h.json", b"{\"label\": 1.5}"),
        ("i.jpg", b""),
        ("i.json", b"{\"label\": "),
        ("j.jpg", b""),
        ("j.json", b"[1]"),
        ("k.jpg", b""),
        ("k.cls", b"1"),
    ]);
    assert_eq!(found.samples.len(), 1);
    let faults: Vec<String> = found.left_out.iter().map(|(key, fault)| format!("{key} {fault}")).collect();
    for (fault, says) in faults.iter().zip([
        "a has no label (.cls or .json)",
        "b has no image (.jpg, .jpeg, .png or .webp)",
        "a has no image",
        "c has 2 images",
        "d has a .cls file with \"cat\", which is no class",
        "e has a .cls file with \"-1\", which is no class",
        "f has a .cls file of more than 64 bytes",
        "g has a .json file without \"label\"",
        "h has a .json file whose \"label\" is 1.5, which is no class",
        "i has a malformed .json file (EOF",
        "j has a .json file without \"label\"",
    ]) {
        assert!(fault.starts_with(says), "{fault} should say: {says}");
    }
    assert_eq!(faults.len(), 11);
}
