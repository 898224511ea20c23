//! Calls to a node's control plane, in domain types. Every wait has a deadline, and every failure names
//! an address.

use crate::control::{Command, Configured, Description, PROTOCOL, Report};
use crate::failure::{Failure, FailureKind};
use crate::identity::Identity;
use crate::ledger::{ControlLedger, ControlRecord, Controlling, Ledger, Refusal};
use crate::link::{Peer, Role};
use crate::spec::stage::StageSpec;
use crate::transport::codec::refused_here;
use crate::transport::dial::{connect, retry, unreachable};
use crate::transport::status::{failure_of, told_by};
use crate::transport::tls::Security;
use crate::transport::{CONTROL_MESSAGE_LIMIT, REPORT_MESSAGE_LIMIT};
use crate::wire;
use crate::wire::node_client::NodeClient;
use futures::StreamExt;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
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
}

impl Node {
    /// Connects to the control address of `peer`, again and again until `deadline`.
    ///
    /// # Errors
    /// [`FailureKind::Unreachable`] after the deadline; [`FailureKind::Identity`] at once.
    pub async fn connect(security: &Security, peer: &Peer, deadline: Duration) -> Result<Self, Failure> {
        let (channel, identity) = retry(peer, deadline, || connect(security, peer)).await?;
        let client = NodeClient::new(channel)
            .max_decoding_message_size(REPORT_MESSAGE_LIMIT)
            .max_encoding_message_size(CONTROL_MESSAGE_LIMIT);
        let ledger = ControlLedger::new(Role::Coordinator, peer.role);
        Ok(Self { peer: peer.clone(), identity, client, ledger })
    }

    /// Connects as [`Node::connect`] does and asks the node for its description. One deadline holds for both, because
    /// the process at the address may accept the connection and then stay silent.
    ///
    /// # Errors
    /// [`FailureKind::Unreachable`] after the deadline; [`FailureKind::Refused`] where the node speaks another
    /// protocol.
    pub async fn dial(
        security: &Security,
        peer: &Peer,
        deadline: Duration,
    ) -> Result<(Self, Description), Failure> {
        let end = Instant::now() + deadline;
        let node = Self::connect(security, peer, deadline).await?;
        let silent = |_| unreachable(peer, deadline, "something takes the connection and says nothing");
        let description = timeout_at(end, node.describe()).await.map_err(silent)??;
        if description.protocol != PROTOCOL {
            return Err(node.told(Failure::refused(format!(
                "the node is release {} and speaks protocol {}, this coordinator is release {} and speaks {PROTOCOL}: run the same release on both",
                description.version,
                description.protocol,
                env!("CARGO_PKG_VERSION")
            ))));
        }
        Ok((node, description))
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
        let (mut client, request) = (self.client.clone(), wire::DescribeRequest {});
        self.ledger.sent(&request);
        let answer = self.counted(client.describe(request)).await?;
        Description::try_from(answer).map_err(|error| self.told(error.into()))
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
        let ledger = self.ledger.clone();
        let commands = ReceiverStream::new(queue).map(move |command| {
            let command = wire::Command::from(command);
            ledger.sent(&command);
            command
        });
        let mut client = self.client.clone();
        let stream = self.answer(client.run(commands)).await?;
        Ok((sender, Reports { peer: self.peer.clone(), stream, ledger: self.ledger.clone() }))
    }

    /// The answer to a call, which is counted.
    async fn counted<T: Controlling>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        self.answer(call).await.inspect(|answer| self.ledger.received(answer))
    }

    async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, Failure> {
        let failure = match timeout(CALL_DEADLINE, call).await {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => ended(&self.ledger, &status),
            Err(_) => {
                let seconds = CALL_DEADLINE.as_secs();
                Failure::new(FailureKind::Lost, format!("no answer within {seconds} s"))
            }
        };
        Err(self.told(failure))
    }

    fn told(&self, failure: Failure) -> Failure {
        told_by(&self.peer, failure)
    }
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

/// The reports of one run.
pub struct Reports {
    peer: Peer,
    stream: Streaming<wire::Report>,
    ledger: ControlLedger,
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
            report => report.map_err(|failure| told_by(&self.peer, failure)),
        }
    }
}
