//! The environment of local nodes. The coordinator decides the number of a node's threads, and the system's scheduler
//! gives them their cores. Variables of OpenMP and of the libraries that compute with it would overrule both, although
//! they were set for another program: `OMP_PROC_BIND=true` would put the threads of all nodes on the same core.

use std::ffi::{OsStr, OsString};

/// The beginnings of the names of variables that local nodes do not get: OpenMP (its standard, and the
/// implementations of GNU and Intel), MKL and OpenBLAS.
const PUT_ASIDE: [&str; 5] = ["OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_"];

/// The variables of this process that its local nodes do not get, in the order of their names.
pub(super) fn put_aside() -> Vec<OsString> {
    let mut names: Vec<_> =
        std::env::vars_os().map(|(name, _)| name).filter(|name| is_put_aside(name)).collect();
    names.sort_unstable();
    names
}

fn is_put_aside(name: &OsStr) -> bool {
    PUT_ASIDE.iter().any(|begin| name.as_encoded_bytes().starts_with(begin.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_openmp_are_put_aside_and_those_of_the_user_stay() {
        let aside = |name: &str| is_put_aside(OsStr::new(name));
        for name in
            ["OMP_PROC_BIND", "GOMP_CPU_AFFINITY", "KMP_AFFINITY", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"]
        {
            assert!(aside(name), "{name}");
        }
        for name in ["MALLOC_ARENA_MAX", "LD_PRELOAD", "PATH", "RUST_LOG", "NEUROPIL_DATA", "COMP_WORDBREAKS"]
        {
            assert!(!aside(name), "{name}");
        }
    }
}
