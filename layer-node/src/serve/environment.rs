//! Environment variables that harm a node. OpenMP, with which torch computes, reads them when its library is loaded,
//! before this program begins. A coordinator starts its local nodes without them.

/// The effect of variables that bind threads to cores.
const BINDS: &str = "binds the threads of this node to cores, and may put all of them on the same one";
/// The effect of variables that make idle threads spin.
const SPINS: &str = "makes idle compute threads take the time of other processes on this host";

/// The sentences about those variables of `environment` that harm a node with `threads` compute threads.
pub(super) fn harms(environment: impl Iterator<Item = (String, String)>, threads: u32) -> Vec<String> {
    let sentence = |(name, value): (String, String)| {
        let effect = effect(&name, value.trim(), threads)?;
        Some(format!("{name}={value} in the environment {effect}: start the node without this variable"))
    };
    let mut found: Vec<_> = environment.filter_map(sentence).collect();
    found.sort_unstable();
    found
}

/// What a variable does to a node; `None` if it does no harm.
fn effect(name: &str, value: &str, threads: u32) -> Option<String> {
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    match name {
        "OMP_PROC_BIND" => (!is("false")).then(|| BINDS.into()),
        "OMP_PLACES" | "GOMP_CPU_AFFINITY" | "KMP_AFFINITY" | "KMP_HW_SUBSET" => {
            (!value.is_empty() && !is("none") && !is("disabled")).then(|| BINDS.into())
        }
        "OMP_NUM_THREADS" | "MKL_NUM_THREADS" | "MKL_DOMAIN_NUM_THREADS" | "OPENBLAS_NUM_THREADS" => {
            let other = value.parse() != Ok(threads);
            other.then(|| {
                format!("asks for another number of compute threads than --threads {threads}, which decides")
            })
        }
        "OMP_THREAD_LIMIT" | "KMP_ALL_THREADS" | "KMP_DEVICE_THREAD_LIMIT" => {
            let fewer = value.parse::<u32>().is_ok_and(|limit| limit < threads);
            fewer.then(|| format!("allows fewer compute threads than --threads {threads}"))
        }
        "OMP_DYNAMIC" => is("true")
            .then(|| "lets the number of compute threads change, and with it the bits of the results".into()),
        "OMP_WAIT_POLICY" => is("active").then(|| SPINS.into()),
        "GOMP_SPINCOUNT" | "KMP_BLOCKTIME" => (value != "0").then(|| SPINS.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)]) -> Vec<String> {
        let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        harms(owned, 4)
    }

    #[test]
    fn each_variable_that_harms_is_named_with_what_it_does() {
        let harmful = [
            ("OMP_PROC_BIND", "true", "on the same one"),
            ("OMP_PLACES", "cores", "on the same one"),
            ("GOMP_CPU_AFFINITY", "0", "on the same one"),
            ("KMP_AFFINITY", "granularity=fine,compact", "on the same one"),
            ("OMP_NUM_THREADS", "8", "than --threads 4, which decides"),
            ("OMP_THREAD_LIMIT", "3", "fewer compute threads than --threads 4"),
            ("OMP_DYNAMIC", "TRUE", "bits of the results"),
            ("OMP_WAIT_POLICY", "active", "other processes on this host"),
        ];
        for (name, value, effect) in harmful {
            let sentences = said(&[("PATH", "/bin"), (name, value)]);
            assert_eq!(sentences.len(), 1, "{name}: {sentences:?}");
            assert!(
                sentences[0].starts_with(&format!("{name}={value} in the environment ")),
                "{sentences:?}"
            );
            assert!(
                sentences[0].contains(effect) && sentences[0].contains("without this variable"),
                "{sentences:?}"
            );
        }
        assert_eq!(said(&harmful.map(|(name, value, _)| (name, value))).len(), harmful.len());
    }

    #[test]
    fn what_does_no_harm_is_not_mentioned() {
        let harmless = [
            ("OMP_PROC_BIND", "FALSE"),
            ("OMP_NUM_THREADS", "4"),
            ("OMP_THREAD_LIMIT", "16"),
            ("OMP_DYNAMIC", "false"),
            ("KMP_AFFINITY", "disabled"),
            ("OMP_DISPLAY_ENV", "true"),
            ("MALLOC_ARENA_MAX", "1"),
            ("LD_PRELOAD", "libjemalloc.so"),
        ];
        assert_eq!(said(&harmless), [""; 0]);
    }
}
