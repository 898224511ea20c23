//! The header of a tar archive's member: 512 bytes, in the forms of V7, POSIX (ustar) and GNU.
//!
//! Source: POSIX.1-2024, `pax`, "ustar Interchange Format", and GNU tar's manual, "Basic Tar Format".

/// The length of a block, and so of a header.
pub(super) const BLOCK: usize = 512;

/// The kind of a member, as far as it matters to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A folder, a link or a device, which has no data.
    Empty,
    /// Records of pax about the next member.
    Pax,
    /// The name of the next member (GNU).
    LongName,
    /// A file whose data are not in one piece (GNU).
    Sparse,
    /// Any other member; the reader skips its data.
    Other,
}

/// The fields of a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    pub name: Vec<u8>,
    pub size: u64,
}

impl Header {
    /// The header in `block`; `None` for a block of zeros, which ends the archive.
    ///
    /// # Errors
    /// A phrase: the block is no header.
    pub(super) fn read(block: &[u8; BLOCK]) -> Result<Option<Self>, &'static str> {
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if !checks(block) {
            return Err("no header of a tar archive (its checksum is wrong)");
        }
        let name = name(block);
        let kind = match block[156] {
            // V7 marks a folder by its name alone.
            b'0' | 0 if name.ends_with(b"/") => Kind::Empty,
            b'0' | b'7' | 0 => Kind::File,
            b'1'..=b'6' => Kind::Empty,
            b'x' => Kind::Pax,
            b'L' => Kind::LongName,
            b'S' => Kind::Sparse,
            _ => Kind::Other,
        };
        let size = number(&block[124..136]).ok_or("a header without a size")?;
        Ok(Some(Self { kind, name, size }))
    }
}

/// Whether the sum of the bytes, with the checksum's own field as spaces, equals the written checksum.
fn checks(block: &[u8; BLOCK]) -> bool {
    let others = block[..148].iter().chain(&block[156..]);
    let unsigned: u64 = others.clone().map(|&byte| u64::from(byte)).sum::<u64>() + 8 * 32;
    // Some old programs added up signed bytes.
    let signed: i64 = others.map(|&byte| i64::from(byte as i8)).sum::<i64>() + 8 * 32;
    number(&block[148..156])
        .is_some_and(|written| written == unsigned || i64::try_from(written) == Ok(signed))
}

/// The name; ustar puts the beginning of a long name into another field.
fn name(block: &[u8; BLOCK]) -> Vec<u8> {
    let short = text(&block[..100]);
    match text(&block[345..500]) {
        prefix if &block[257..263] == b"ustar\0" && !prefix.is_empty() => [prefix, b"/", short].concat(),
        _ => short.to_vec(),
    }
}

/// The bytes before the first zero.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or in base 256 where the first bit is set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        let start = if field[0] == 0x80 { 0 } else { return None };
        let digit = |sum: u64, &byte: &u8| sum.checked_mul(256)?.checked_add(byte.into());
        return field[1..].iter().try_fold(start, digit);
    }
    let digits = str::from_utf8(text(field)).ok()?.trim_matches(' ');
    // `from_str_radix` would accept a sign.
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| u64::from_str_radix(digits, 8).ok()).flatten()
}
