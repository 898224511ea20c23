//! Decodes the header of a snapshot's file, for the fuzzer and for the corpus test.

use proto::state_file::read_header;

/// The bytes are a snapshot's file after 7 updates. The file itself must contain the owner that its header gives.
pub fn run(bytes: &[u8]) {
    let Some(held) = read_header(&mut &bytes[..], bytes.len() as u64, 7) else { return };
    let named = serde_json::to_string(&held.run).unwrap();
    let escaped = bytes.contains(&b'\\');
    assert!(escaped || bytes.windows(named.len()).any(|window| window == named.as_bytes()));
    let shorter = &bytes[..bytes.len() - 1];
    assert_eq!(read_header(&mut &shorter[..], shorter.len() as u64, 7), None, "a torn file is nobody's");
}
