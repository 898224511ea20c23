//! The link between the halves of a stage, as the worker uses it in one action: tensors in, tensors out.

use crate::exec::context::{Context, Of};
use crate::exec::device::Device;
use crate::exec::outbox::Letter;
use crate::exec::session::Call;
use crate::stage::{StageError, Values};
use proto::control::StepDone;
use proto::failure::Failure;
use proto::link::{Carried, Port};
use proto::microbatch::{Message, MicrobatchHeader};
use proto::spec::split::Parcel;
use proto::timeline::Transfer;
use std::time::Duration;
use tch::Tensor;

/// The link for the length of one action, with the counts of the step.
pub struct HalfLink<'a> {
    /// The link.
    pub port: &'a mut Port,
    /// The device of the tensors.
    pub device: &'a mut dyn Device,
    /// The half of the stage on this node, and its account.
    pub of: Of<'a>,
    /// The process's services.
    pub context: &'a Context,
    /// The run's deadlines.
    pub call: &'a Call,
    /// The counts of the step.
    pub done: &'a mut StepDone,
}

impl HalfLink<'_> {
    /// Sends `tensors`, which are the values of `parcel`, under the microbatch of `header`.
    ///
    /// # Errors
    /// When the device fails, or the other half is gone or takes nothing within the run's message deadline.
    pub fn send(
        &mut self,
        carried: Carried,
        header: &MicrobatchHeader,
        parcel: &Parcel,
        tensors: Vec<Tensor>,
    ) -> Result<(), StageError> {
        let (begun, wire) = (self.context.clock.now_ns(), self.of.spec.wire);
        let names = parcel.content.values.iter().map(|value| value.name.clone());
        let values: Values = names.zip(tensors).collect();
        // Outputs show numbers that are not finite; only this check shows numbers that the links' format does not hold.
        self.device.note_sent(&values, carried, wire)?;
        let values = self.device.download(values, carried, wire)?;
        let bytes = values.bytes();
        self.done.bytes_split += bytes;
        let ends = [self.of.spec.role(), self.port.peer().role];
        let letter = Letter {
            to: self.port.outgoing.clone(),
            deadline: self.call.start.message_deadline,
            cancellation: self.call.cancellation.clone(),
            header: MicrobatchHeader { form: parcel.form, ..header.clone() },
            account: Some((self.of.account.clone(), ends, carried)),
        };
        let sent = self.context.outbox.send(letter, values);
        let ended = self.context.clock.now_ns();
        self.done.send += Duration::from_nanos(ended - begun);
        let (of, noted) = ((self.port.peer().role, true, carried), (header.id.index, parcel.form));
        self.done.transferred(|| Transfer::of(of, noted, bytes, [begun, ended]));
        sent.map_err(StageError::OtherHalf)
    }

    /// Takes the message of `parcel`, and returns its header without the form, and its tensors. `what` names the
    /// expected message; `is_due` checks whether a header belongs to it.
    ///
    /// # Errors
    /// When the other half is gone, silent for the run's message deadline, or out of turn, or the device fails.
    pub fn receive(
        &mut self,
        carried: Carried,
        parcel: &Parcel,
        what: impl Fn() -> String,
        is_due: impl Fn(&MicrobatchHeader) -> bool,
    ) -> Result<(MicrobatchHeader, Vec<Tensor>), StageError> {
        let begun = self.context.clock.now_ns();
        let received = self.port.receive(self.call.start.message_deadline, &what);
        let received = self.context.runtime.block_on(received);
        let ended = self.context.clock.now_ns();
        self.done.wait += Duration::from_nanos(ended - begun);
        let message = received.map_err(StageError::OtherHalf)?;
        let of = (self.port.peer().role, false, carried);
        let noted = (message.header.id.index, message.header.form);
        self.done.transferred(|| Transfer::of(of, noted, message.payload(), [begun, ended]));
        let header = MicrobatchHeader { form: 0, ..message.header.clone() };
        if message.header.form != parcel.form || !is_due(&header) {
            return Err(StageError::OtherHalf(self.out_of_turn(carried, &message, &what())));
        }
        self.of.account.add([self.port.peer().role, self.of.spec.role()], carried, &message);
        let values = self.device.upload(&message.tensors)?;
        Ok((header, values.into_iter().map(|(_, tensor)| tensor).collect()))
    }

    fn out_of_turn(&self, carried: Carried, message: &Message, due: &str) -> Failure {
        let (link, header) = (&self.port.incoming, &message.header);
        let tensor = message.tensors.first().map_or("nothing", |(name, _)| name.as_str());
        link.refuse(carried, format!("{} sent '{tensor}' of {header} while {due} was due", link.peer()))
    }
}
