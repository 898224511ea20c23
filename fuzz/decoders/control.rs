//! Decodes messages of the control plane, for the fuzzer and for the corpus test.

use prost::Message as _;
use proto::control::{Command, Description, Report};
use proto::failure::Failure;
use proto::spec::stage::StageSpec;
use proto::wire;

/// The first byte gives the type of the message in the other bytes. An accepted message must survive encoding and
/// decoding.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => {
            let Ok(stage) = wire::Stage::decode(bytes) else { return };
            match StageSpec::try_from(stage) {
                Err(error) => assert!(error.to_string().len() < 2000, "a refusal is a sentence"),
                Ok(spec) => {
                    assert!(spec.activations_above().is_ok() && spec.errors_above().is_ok());
                    let again = StageSpec::try_from(wire::Stage::from(spec.clone())).unwrap();
                    assert_eq!(format!("{again:?}"), format!("{spec:?}"));
                }
            }
        }
        1 => {
            let Ok(command) = wire::Command::decode(bytes) else { return };
            if let Ok(command) = Command::try_from(command) {
                assert_eq!(Command::try_from(wire::Command::from(command.clone())).unwrap(), command);
            }
        }
        2 => {
            let Ok(report) = wire::Report::decode(bytes) else { return };
            if let Ok(report) = Report::try_from(report) {
                let again = Report::try_from(wire::Report::from(report.clone())).unwrap();
                assert_eq!(format!("{again:?}"), format!("{report:?}"));
            }
        }
        3 => {
            let Ok(description) = wire::Description::decode(bytes) else { return };
            let _ = Description::try_from(description);
        }
        _ => {
            let Ok(failure) = wire::Failure::decode(bytes) else { return };
            if let Ok(failure) = Failure::try_from(failure) {
                assert!(failure.sentence.len() <= 2000, "a failure is a sentence");
                assert_eq!(Failure::try_from(wire::Failure::from(failure.clone())).unwrap(), failure);
            }
        }
    }
}
