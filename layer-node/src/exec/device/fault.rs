//! The faults of a GPU, as torch words them: its memory is full, or nothing can be computed in this process any more.

/// A fault of a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The memory is full. The process goes on.
    Memory {
        /// The memory that torch asked for, as it prints the number: `2.00 GiB`.
        asked: Option<String>,
        /// The memory that was free.
        free: Option<String>,
    },
    /// CUDA's context is spoiled: every later call fails as well.
    Spoiled,
}

/// The words by which torch reports that memory is full: its own allocator's, and those of CUDA's libraries.
const FULL: [&str; 4] = [
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
];
/// The words by which torch passes on any other error of CUDA.
const BROKEN: [&str; 4] = ["CUDA error", "CUDA driver error", "cuDNN error", "CUDNN_STATUS"];

impl Fault {
    /// The fault that `sentence` reports; `None` for any other error.
    pub fn of(sentence: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|word| sentence.contains(word));
        if has(&FULL) {
            let asked = between(sentence, "Tried to allocate ", ". ");
            return Some(Fault::Memory { asked, free: between(sentence, " of which ", " is free") });
        }
        has(&BROKEN).then_some(Fault::Spoiled)
    }

    /// The sentence in place of torch's `sentence`, for a stage for which the plan expects `expected` bytes; 0 if no
    /// plan is known.
    pub fn told(&self, sentence: &str, expected: u64) -> String {
        let Fault::Memory { asked, free } = self else {
            return format!(
                "{sentence}: the GPU can compute nothing more for this process, which ends; start it again, or have it \
                 started"
            );
        };
        let asked = asked.as_deref().unwrap_or("more");
        let free = free.as_ref().map_or_else(String::new, |free| format!(", and {free} are free"));
        let planned = match expected {
            0 => String::new(),
            bytes => format!(" (plan expects {:.2} GiB for its tensors)", bytes as f64 / f64::from(1 << 30)),
        };
        format!(
            "the GPU's memory is full: this stage{planned} asked for {asked}{free}; cut the network into more stages, \
             raise pipeline.microbatches, set pipeline.recompute, or free the GPU of other processes"
        )
    }
}

/// The text between two others.
fn between(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, after) = text.split_once(from)?;
    after.split_once(to).map(|(found, _)| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_is_told_by_its_numbers_and_spoils_nothing() {
        let torch = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139.81 GiB of which \
                     1.25 GiB is free. Including non-PyTorch memory, this process has 138.5 GiB memory in use.";
        let fault = Fault::of(torch).unwrap();
        let memory =
            |asked: &str, free: &str| Fault::Memory { asked: Some(asked.into()), free: Some(free.into()) };
        assert_eq!(fault, memory("2.00 GiB", "1.25 GiB"));
        let told = fault.told(torch, 3 << 30);
        let numbers =
            "this stage (plan expects 3.00 GiB for its tensors) asked for 2.00 GiB, and 1.25 GiB are free";
        assert!(told.contains(numbers), "{told}");
        for bare in [
            "CUDA error: out of memory",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`",
        ] {
            let fault = Fault::of(bare).unwrap();
            assert!(fault.told(bare, 0).contains("this stage asked for more; cut the network"), "{bare}");
        }
    }

    #[test]
    fn any_other_error_of_cuda_spoils_the_process_and_nothing_else_does() {
        for broken in [
            "CUDA error: an illegal memory access was encountered",
            "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
            "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        ] {
            assert_eq!(Fault::of(broken), Some(Fault::Spoiled));
            assert!(Fault::Spoiled.told(broken, 1).starts_with(broken));
        }
        for other in ["stage 2 went away", "shape '[3]' is invalid for input of size 4", ""] {
            assert_eq!(Fault::of(other), None);
        }
    }
}
