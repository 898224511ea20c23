//! Decodes messages of the control plane, for the fuzzer and for the corpus test.

use super::received::received;
use proto::control::{Command, Description, Report};
use proto::failure::Failure;
use proto::ledger::Ledger;
use proto::spec::stage::StageSpec;
use proto::wire;

/// The first byte gives the type of the message in the other bytes. An accepted message must survive encoding and
/// decoding, also one that is not its own encoding.
pub fn run(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 7 {
        0 => {
            let Some(stage) = received::<wire::Stage>(bytes) else { return };
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
            let Some(command) = received::<wire::Command>(bytes) else { return };
            if let Ok(command) = Command::try_from(command) {
                assert_eq!(Command::try_from(wire::Command::from(command.clone())).unwrap(), command);
            }
        }
        2 => {
            let Some(report) = received::<wire::Report>(bytes) else { return };
            if let Ok(report) = Report::try_from(report) {
                let again = Report::try_from(wire::Report::from(report.clone())).unwrap();
                assert_eq!(format!("{again:?}"), format!("{report:?}"));
            }
        }
        3 => {
            let Some(description) = received::<wire::Description>(bytes) else { return };
            let _ = Description::try_from(description);
        }
        4 => {
            let Some(failure) = received::<wire::Failure>(bytes) else { return };
            if let Ok(failure) = Failure::try_from(failure) {
                assert!(failure.sentence.len() <= 2000, "a failure is a sentence");
                assert_eq!(Failure::try_from(wire::Failure::from(failure.clone())).unwrap(), failure);
            }
        }
        5 => {
            let Some(ledger) = received::<wire::Ledger>(bytes) else { return };
            if let Ok(ledger) = Ledger::try_from(ledger) {
                assert_eq!(Ledger::try_from(wire::Ledger::from(ledger.clone())).unwrap(), ledger);
            }
        }
        _ => {
            received::<wire::Opening>(bytes);
            received::<wire::Opened>(bytes);
            received::<wire::SharedPart>(bytes);
            received::<wire::Released>(bytes);
        }
    }
}
