//! Archives for tests, written block by block, so that they can have any fault.

/// The header of a member, with a correct checksum.
pub fn header(name: &[u8], size: &[u8], kind: u8, magic: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name);
    put(100, b"0000644\0");
    put(124, size);
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, &[kind]);
    put(257, magic);
    put(345, prefix);
    sealed(block)
}

/// The header with the checksum of its bytes.
pub fn sealed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// A member with its data, filled up to whole blocks.
pub fn member(name: &str, kind: u8, data: &[u8]) -> Vec<u8> {
    let size = format!("{:011o}\0", data.len());
    let mut member = header(name.as_bytes(), size.as_bytes(), kind, b"ustar\x0000", b"");
    member.extend(data);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

/// A regular file.
pub fn file(name: &str, data: &[u8]) -> Vec<u8> {
    member(name, b'0', data)
}

/// The files as an archive.
pub fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let files = files.iter().map(|(name, data)| file(name, data));
    files.chain([vec![0; 1024]]).flatten().collect()
}
