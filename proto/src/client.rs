//! Calls to a node's control plane, in domain types. Every wait has a deadline, and every failure names
//! an address.

use crate::clock::Clock;
use crate::control::{Command, Configured, Description, PROTOCOL, Report, RunLane, StepDone};
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
use crate::ledger::{ControlLedger, ControlRecord, Controlling, Ledger, Refusal};
use crate::link::{Peer, Role};
use crate::microbatch::Phase;
use crate::spec::stage::StageSpec;
use crate::transport::codec::refused_here;
use crate::transport::dial::{Attempts, connect, retry};
use crate::transport::status::{failure_of, told_by};
use crate::transport::tls::Security;
use crate::transport::waiting::Waiting;
use crate::transport::{CONTROL_MESSAGE_LIMIT, REPORT_MESSAGE_LIMIT};
use crate::wire;
use crate::wire::node_client::NodeClient;
use futures::StreamExt;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Response, Status, Streaming};

/// Commands and reports that may wait on a run's control stream.
const CONTROL_QUEUE: usize = 16;
/// How long a node may take to answer a plain call: configuring a large stage draws its weights.
const CALL_DEADLINE: Duration = Duration::from_secs(120);

/// The control plane of one node; clones share the connection and the account of its messages.
#[derive(Clone, Debug)]
pub struct Node {
    peer: Peer,
    identity: Option<Identity>,
    client: NodeClient<Channel>,
    ledger: ControlLedger,
    clock: Clock,
}

impl Node {
    /// Connects to the control address of `peer`, again and again until `deadline`.
    ///
    /// # Errors
    /// [`FailureKind::Unreachable`] after the deadline; [`FailureKind::Identity`] at once.
    pub async fn connect(security: &Security, peer: &Peer, deadline: Duration) -> Result<Self, Failure> {
        let (channel, identity) = retry(peer, deadline, || connect(security, peer)).await?;
        Ok(Self::new(peer, channel, identity))
    }

    fn new(peer: &Peer, channel: Channel, identity: Option<Identity>) -> Self {
        let client = NodeClient::new(channel)
            .max_decoding_message_size(REPORT_MESSAGE_LIMIT)
            .max_encoding_message_size(CONTROL_MESSAGE_LIMIT);
        let ledger = ControlLedger::new(Role::Coordinator, peer.role);
        Self { peer: peer.clone(), identity, client, ledger, clock: Clock::start() }
    }

    /// The same node, whose exchanges with this process are timed by `clock`.
    #[must_use]
    pub fn timed_by(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Connects to the control address of `peer` and asks the node for its description, again and again until
    /// `deadline`. This is a question, so a node that speaks another protocol is an answer.
    ///
    /// # Errors
    /// [`FailureKind::Unreachable`] after the deadline; [`FailureKind::OtherProtocol`] at once.
    pub async fn dial(
        security: &Security,
        peer: &Peer,
        deadline: Duration,
    ) -> Result<(Self, Description), Failure> {
        let attempts = Attempts { deadline, waiting: &Waiting::default(), for_other_protocols: false };
        attempts.make(peer, || Self::attempt(security, peer)).await
    }

    /// As [`Node::dial`], for a run, which goes on once the node is there. `waiting` knows the peer until then. A node
    /// that speaks another protocol is logged once and waited for: while releases change, another node takes its place.
    ///
    /// # Errors
    /// After the deadline, [`FailureKind::Unreachable`], or [`FailureKind::OtherProtocol`] if the node is still there.
    pub async fn wait_for(
        security: &Security,
        peer: &Peer,
        deadline: Duration,
        waiting: &Waiting,
    ) -> Result<(Self, Description), Failure> {
        let attempts = Attempts { deadline, waiting, for_other_protocols: true };
        let said = AtomicBool::new(false);
        let attempt = async || {
            Self::attempt(security, peer).await.inspect_err(|failure| {
                if failure.kind == FailureKind::OtherProtocol && !said.swap(true, Relaxed) {
                    let seconds = deadline.as_secs_f64();
                    tracing::warn!("{peer}: {failure}; it is asked again for up to {seconds:.0} s");
                }
            })
        };
        attempts.make(peer, attempt).await
    }

    /// One attempt to connect to `peer` and to learn its description.
    async fn attempt(security: &Security, peer: &Peer) -> Result<(Self, Description), Failure> {
        let (channel, identity) = connect(security, peer).await?;
        let node = Self::new(peer, channel, identity);
        let description = node.described().await.map_err(|failure| match failure.kind {
            FailureKind::Protocol => Failure::new(FailureKind::OtherProtocol, undescribed(&failure)),
            _ => failure,
        })?;
        match description.protocol {
            PROTOCOL => Ok((node, description)),
            _ => Err(Failure::new(FailureKind::OtherProtocol, other_protocol(&description))),
        }
    }

    /// The node's role and control address.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The identity that the node has proved; `None` in plaintext.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Asks the node for its description.
    ///
    /// # Errors
    /// When the node does not answer, or its answer is not of this protocol.
    pub async fn describe(&self) -> Result<Description, Failure> {
        self.described().await.map_err(|failure| self.told(failure))
    }

    /// As [`Node::describe`], with a failure that does not name the node yet.
    async fn described(&self) -> Result<Description, Failure> {
        let (mut client, request) = (self.client.clone(), wire::DescribeRequest {});
        self.ledger.sent(&request);
        let answer = self.answered(client.describe(request)).await?;
        self.ledger.received(&answer);
        Ok(Description::try_from(answer)?)
    }

    /// Makes the node a stage.
    ///
    /// # Errors
    /// The node's reason, or the failure of the connection.
    pub async fn configure(&self, stage: StageSpec) -> Result<Configured, Failure> {
        let (mut client, stage) = (self.client.clone(), wire::Stage::from(stage));
        self.ledger.sent(&stage);
        self.counted(client.configure(stage)).await.map(Configured::from)
    }

    /// Asks the node for the ledger of its newest start of a run.
    ///
    /// # Errors
    /// When the node has no ledger, does not answer, or its answer is not of this protocol.
    pub async fn audit(&self) -> Result<Ledger, Failure> {
        let (mut client, request) = (self.client.clone(), wire::AuditRequest {});
        self.ledger.sent(&request);
        let answer = self.counted(client.audit(request)).await?;
        Ledger::try_from(answer).map_err(|error| self.told(error.into()))
    }

    /// The messages of all calls so far, as this process counts them.
    pub fn control_records(&self) -> Vec<ControlRecord> {
        self.ledger.records()
    }

    /// The first messages of the node that this process refused.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.ledger.refusals()
    }

    /// Notes that the caller refuses a message of the node, for the reason `why`.
    pub fn refuse(&self, why: &str) {
        self.ledger.refused(why);
    }

    /// Opens a run: commands go in, and their reports come out in the same order.
    ///
    /// # Errors
    /// When the node does not take the call.
    pub async fn run(&self) -> Result<(mpsc::Sender<Command>, Reports), Failure> {
        let (sender, queue) = mpsc::channel(CONTROL_QUEUE);
        let (ledger, asked) = (self.ledger.clone(), Asked::new(self.clock));
        let asking = asked.clone();
        let commands = ReceiverStream::new(queue).map(move |command| {
            asking.departs(&command);
            let command = wire::Command::from(command);
            ledger.sent(&command);
            command
        });
        let mut client = self.client.clone();
        let stream = self.answer(client.run(commands)).await?;
        Ok((sender, Reports { peer: self.peer.clone(), stream, ledger: self.ledger.clone(), asked }))
    }

    /// The answer to a call, which is counted.
    async fn counted<T: Controlling>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        self.answer(call).await.inspect(|answer| self.ledger.received(answer))
    }

    async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
        self.answered(call).await.map_err(|failure| self.told(failure))
    }

    async fn answered<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match timeout(CALL_DEADLINE, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(ended(&self.ledger, &status)),
            Err(_) => {
                let seconds = CALL_DEADLINE.as_secs();
                Err(Failure::new(FailureKind::Lost, format!("no answer within {seconds} s")))
            }
        }
    }

    fn told(&self, failure: Failure) -> Failure {
        told_by(&self.peer, failure)
    }
}

/// The release of this program.
const RELEASE: &str = env!("CARGO_PKG_VERSION");

/// The sentence about a node that speaks another protocol.
fn other_protocol(Description { version, protocol, .. }: &Description) -> String {
    format!(
        "the node is release {version} and speaks protocol {protocol}, this coordinator is release {RELEASE} and speaks {PROTOCOL}: run the same release on both"
    )
}

/// The sentence about a node whose description is not of this protocol, for the reason `why`.
fn undescribed(why: &Failure) -> String {
    format!(
        "the node's description is not of protocol {PROTOCOL}, which this coordinator of release {RELEASE} speaks ({why}): run the same release on both"
    )
}

/// The sentence about a node of another release that speaks the same protocol; `None` for a node of this release.
pub fn other_release(Description { version, .. }: &Description) -> Option<String> {
    (version != RELEASE).then(|| {
        format!(
            "the node is release {version}, this coordinator is release {RELEASE}: both speak protocol {PROTOCOL}, so the run goes on, and where both releases compute alike it keeps its bits"
        )
    })
}

/// The failure that `status` reports: the node's, which is counted, or this process's refusal of its message.
fn ended(ledger: &ControlLedger, status: &Status) -> Failure {
    if let Some(error) = refused_here(status) {
        ledger.refused(&error.to_string());
    } else if !status.details().is_empty() {
        ledger.failure_received(status.details());
    }
    failure_of(status)
}

/// The departures of lanes with a timeline, whose reports have not come; clones share them.
#[derive(Clone)]
struct Asked {
    clock: Clock,
    /// Phase, step, and the time of the departure.
    lanes: Arc<Mutex<VecDeque<(Phase, u64, u64)>>>,
}

impl Asked {
    /// The most departures that are kept: a coordinator has fewer lanes under way.
    const MOST: usize = 128;

    fn new(clock: Clock) -> Self {
        Self { clock, lanes: Arc::default() }
    }

    /// Notes the departure of a lane with a timeline. Of several lanes with actions of a step, the last one counts: it
    /// closes the step.
    fn departs(&self, command: &Command) {
        let Command::Lane(RunLane { lane, minibatches }) = command else { return };
        for (step, _) in (lane.first()..).zip(minibatches).filter(|(_, minibatch)| minibatch.timeline) {
            let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            lanes.retain(|(phase, known, _)| (*phase, *known) != (lane.phase(), step));
            if lanes.len() == Self::MOST {
                lanes.pop_front();
            }
            lanes.push_back((lane.phase(), step, self.clock.now_ns()));
        }
    }

    /// Completes the exchange of a report that has come now.
    fn heard(&self, done: &mut StepDone) {
        let Some(timeline) = &mut done.timeline else { return };
        let heard_ns = self.clock.now_ns();
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let at = lanes.iter().position(|(phase, step, _)| (*phase, *step) == (done.phase, done.step));
        if let Some((.., asked_ns)) = at.and_then(|at| lanes.remove(at)) {
            (timeline.exchange.asked_ns, timeline.exchange.heard_ns) = (asked_ns, heard_ns);
        }
    }
}

/// The reports of one run.
pub struct Reports {
    peer: Peer,
    stream: Streaming<wire::Report>,
    ledger: ControlLedger,
    asked: Asked,
}

impl Reports {
    /// The next report, or `None` where the node ended the run without a failure.
    ///
    /// # Errors
    /// The node's reason for giving the run up, or the failure of the connection.
    pub async fn next(&mut self) -> Result<Option<Report>, Failure> {
        let report = self.stream.message().await.map_err(|status| ended(&self.ledger, &status));
        let report = report.and_then(|report| {
            report.iter().for_each(|report| self.ledger.received(report));
            Ok(report.map(Report::try_from).transpose()?)
        });
        match report {
            Ok(Some(Report::Leaving(why))) => Ok(Some(Report::Leaving(told_by(&self.peer, why)))),
            Ok(Some(Report::Step(mut done))) => {
                self.asked.heard(&mut done);
                Ok(Some(Report::Step(done)))
            }
            report => report.map_err(|failure| told_by(&self.peer, failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Measure;
    use crate::lane::Lane;
    use crate::timeline::Timeline;

    #[test]
    fn an_exchange_shows_how_far_a_node_is_ahead() {
        let own = Clock::start();
        let hour = 3_600_000_000_000;
        for ahead in [hour, 0, -hour] {
            let node = own.ahead(ahead);
            let asked = Asked::new(own);
            let lane = |step| RunLane::of_one_step(Lane::evaluate(1).starting_at(step), 4, Measure::Nothing);
            asked.departs(&Command::Lane(lane(6)));
            asked.departs(&Command::Lane(lane(7).with_timeline(true)));
            let mut timeline = Timeline::default();
            (timeline.exchange.received_ns, timeline.exchange.answered_ns) = (node.now_ns(), node.now_ns());
            let done = StepDone { timeline: Some(timeline), ..StepDone::nothing(Phase::Evaluate) };
            let mut of_other = StepDone { step: 6, ..done.clone() };
            asked.heard(&mut of_other);
            assert_eq!(of_other.timeline.unwrap().exchange.offset_ns(), None, "no lane with a timeline left");
            let mut done = StepDone { step: 7, ..done };
            asked.heard(&mut done);
            let exchange = done.timeline.unwrap().exchange;
            let error = (exchange.offset_ns().unwrap() + ahead).unsigned_abs();
            assert!(error <= exchange.round_trip_ns().unwrap().div_ceil(2), "{exchange:?}");
        }
    }

    #[test]
    fn another_release_of_the_same_protocol_is_told_from_this_one() {
        let of = |version: &str| Description {
            version: version.into(),
            protocol: PROTOCOL,
            device: "cpu".into(),
            threads: 1,
            memory_total: 0,
            memory_available: 0,
            data: crate::control::DataAddress::Port(1),
            run: None,
            snapshots: Vec::new(),
            certificate_expires: 0,
        };
        assert_eq!(other_release(&of(RELEASE)), None);
        let said = other_release(&of("9.9.9")).unwrap();
        assert!(said.starts_with("the node is release 9.9.9, this coordinator is release "), "{said}");
    }
}
