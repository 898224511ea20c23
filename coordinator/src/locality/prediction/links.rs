//! The prediction of the links: the messages of each direction of each link in each phase.
//!
//! ```text
//! cut          0           1                n
//! coordinator ─┼─▶ stage 0 ─┼─▶ …  stage n-1 ─┼─▶ coordinator      activations, in both phases
//!             ◀┼─          ◀┼─               ◀┼─                   error signals, in training
//! ```

use super::{Minibatch, Work, minibatches};
use proto::error::ProtocolError;
use proto::ledger::{LinkRecord, size};
use proto::link::{Carried, Role};
use proto::microbatch::{MicrobatchHeader, MicrobatchId, Phase};
use proto::spec::graph::{INPUT, Value};
use proto::spec::stage::StageSpec;
use proto::tensor::Kind;

/// The records of every link of the ring, without chains. A phase in which a direction carries no message has no
/// record.
pub(super) fn predict(stages: &[StageSpec], work: &[Work]) -> Result<Vec<LinkRecord>, ProtocolError> {
    let mut links = Vec::new();
    for cut in 0..=stages.len() {
        let (below, above) = (cut.checked_sub(1).map(|at| &stages[at]), stages.get(cut));
        let (Some(spec), role) = (above.or(below), process) else { continue };
        let up = match above {
            Some(above) => above.inputs.clone(),
            None => spec.output_values()?,
        };
        // The coordinator needs no error of the network's input: the first stage sends `done`, without tensors.
        let down: Vec<Value> = up.iter().filter(|value| value.name != INPUT).cloned().collect();
        let wire = if above.is_some() { spec.wire } else { spec.wire_above() };
        let (below, above) = (role(below), role(above));
        for phase in [Phase::Train, Phase::Evaluate] {
            let record = |ends, carried, tensors| {
                let record = LinkRecord::empty(ends, carried, phase).of(0, tensors, wire);
                let of_phase = minibatches(work).filter(|minibatch| minibatch.phase == phase);
                counted(record, of_phase.flat_map(|minibatch| headers(minibatch, spec)))
            };
            links.extend(record([below, above], Carried::Activations, up.clone()));
            if phase == Phase::Train {
                links.extend(record([above, below], Carried::ErrorSignals, down.clone()));
            }
        }
    }
    Ok(links)
}

/// The process of a stage; beyond the first and the last stage, the coordinator's.
fn process(stage: Option<&StageSpec>) -> Role {
    stage.map_or(Role::Coordinator, StageSpec::role)
}

/// The record with a message for each of `headers`; `None` where there is none.
pub(super) fn counted(
    mut record: LinkRecord,
    headers: impl Iterator<Item = MicrobatchHeader>,
) -> Option<LinkRecord> {
    let sample = |(value, &kind): (&Value, &Kind)| value.bytes(kind);
    let of_sample: u64 = record.tensors.iter().zip(&record.kinds).map(sample).sum();
    for header in headers {
        record.messages += 1;
        record.samples += u64::from(header.size);
        record.payload += u64::from(header.size) * of_sample;
        record.bytes += size::link_message(&header, &record.tensors, &record.kinds);
    }
    Some(record).filter(|record| record.messages > 0)
}

/// The headers of a minibatch's messages, of form 0.
pub(super) fn headers(minibatch: &Minibatch, spec: &StageSpec) -> impl Iterator<Item = MicrobatchHeader> {
    let microbatches = minibatch.parts.len() as u32;
    (0..).zip(&minibatch.parts).map(move |(index, part)| MicrobatchHeader {
        run: spec.run.clone(),
        incarnation: spec.incarnation,
        phase: minibatch.phase,
        id: MicrobatchId { step: minibatch.step, index },
        minibatch: minibatch.samples,
        microbatches,
        offset: part.start as u32,
        size: part.len() as u32,
        form: 0,
    })
}
