//! The run path of a packed program: the folder `lib` beside the program's own, and no folder of the machine that built
//! the program.

use crate::run::Failure;
use std::fs;
use std::path::Path;

/// The run path of a packed program.
const PACKED: &[u8] = b"$ORIGIN/../lib";

/// Replaces the run path of a program, which names the libtorch of the build before the packed one.
pub fn relocate(program: &Path) -> Result<(), Failure> {
    let name = program.display();
    let mut bytes = fs::read(program).map_err(|error| format!("cannot read {name}: {error}"))?;
    shorten(&mut bytes).map_err(|why| format!("the run path of {name} {why}: see layer-node/build.rs"))?;
    Ok(fs::write(program, bytes).map_err(|error| format!("cannot write {name}: {error}"))?)
}

/// Writes the packed run path over the longer one, whose last part it is, and fills the rest with zeros. The dynamic
/// section goes on naming the place where the string begins.
fn shorten(bytes: &mut [u8]) -> Result<(), String> {
    let end_of_path = [b":", PACKED, b"\0"].concat();
    let found = bytes.windows(end_of_path.len()).enumerate().filter(|(_, window)| *window == end_of_path);
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    let [at] = places[..] else { return Err(format!("stands in {} places instead of one", places.len())) };
    let start = bytes[..at].iter().rposition(|byte| *byte == 0).map_or(0, |zero| zero + 1);
    let old = &mut bytes[start..at + end_of_path.len()];
    old.fill(0);
    old[..PACKED.len()].copy_from_slice(PACKED);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn the_path_of_the_build_goes_and_all_else_stays_in_its_place() {
        let mut bytes = *b"libm.so\0/src/lib:$ORIGIN/../lib\0GLIBC\0";
        assert_eq!(shorten(&mut bytes), Ok(()));
        assert_eq!(&bytes, b"libm.so\0$ORIGIN/../lib\0\0\0\0\0\0\0\0\0\0GLIBC\0");
        assert_eq!(shorten(&mut bytes).unwrap_err(), "stands in 0 places instead of one");
    }
}
