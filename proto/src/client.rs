//! Calls to a layer node, in domain types. Every wait has a deadline and every error an address.

use crate::control::{Command, Configured, Description, PROTOCOL, Report};
use crate::link::Contract;
use crate::link::framing::Direction;
use crate::link::{self, Incoming, Link};
use crate::microbatch::Message;
use crate::spec::stage::StageSpec;
use crate::transport::{self, CONTROL_MESSAGE_LIMIT, DATA_MESSAGE_LIMIT, REPORT_MESSAGE_LIMIT};
use crate::wire;
use crate::wire::layer_client::LayerClient;
use crate::wire::node_client::NodeClient;
use futures::StreamExt;
use std::error::Error;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// Commands and reports that may wait on a run's control stream.
const CONTROL_QUEUE: usize = 16;
/// How long a node may take to answer a plain call: configuring a large stage draws its weights.
const CALL_DEADLINE: Duration = Duration::from_secs(120);

/// Why a call to another process failed; one sentence, with its address.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// Not an address at all.
    #[error("{0}")]
    Address(String),
    /// Nobody answered.
    #[error(
        "{address} could not be reached within {seconds:.0} s ({why}): check the address and that a layer-node serves there"
    )]
    Unreachable {
        /// Who was called.
        address: String,
        /// The deadline.
        seconds: f64,
        /// The last attempt's error.
        why: String,
    },
    /// The peer said no, and why.
    #[error("{address}: {why}")]
    Refused {
        /// Who was called.
        address: String,
        /// What the peer said.
        why: String,
    },
    /// The snapshot that the peer was to restore is not there, or was damaged and moved away: an earlier one may be
    /// whole.
    #[error("{address}: {why}")]
    Gone {
        /// Who was called.
        address: String,
        /// What the peer said.
        why: String,
    },
    /// The peer ends the run because of what a third party did, or failed to do.
    #[error("{address}: {why}")]
    Hearsay {
        /// Who was called.
        address: String,
        /// What the peer said.
        why: String,
    },
    /// The peer went away in the middle of a call.
    #[error("the connection to {address} was lost ({why})")]
    Lost {
        /// Who was called.
        address: String,
        /// What the transport said.
        why: String,
    },
}

impl CallError {
    /// What a status from `address` means. A dead peer shows as Unavailable, Unknown or Cancelled.
    pub fn from_status(address: &str, status: &Status) -> Self {
        let address = address.to_owned();
        let why = status.message().to_owned();
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
                Self::Lost { address, why }
            }
            Code::DataLoss => Self::Hearsay { address, why },
            Code::NotFound => Self::Gone { address, why },
            Code::Unimplemented => Self::Refused {
                address,
                why: "no such service there: give the node's control address".into(),
            },
            _ => Self::Refused { address, why },
        }
    }
}

/// Attempts with growing pauses between them, until one succeeds, is refused, or the deadline passes.
struct Attempts<'a> {
    address: &'a str,
    deadline: Duration,
    end: Instant,
    pause: Duration,
}

impl<'a> Attempts<'a> {
    fn new(address: &'a str, deadline: Duration) -> Self {
        Self { address, deadline, end: Instant::now() + deadline, pause: Duration::from_millis(20) }
    }

    /// Makes one attempt; `None` means that another one is worth making, after the pause that has
    /// already passed.
    async fn attempt<T>(
        &mut self,
        attempt: impl Future<Output = Result<T, CallError>>,
    ) -> Option<Result<T, CallError>> {
        let why = match tokio::time::timeout_at(self.end, attempt).await {
            Ok(Err(CallError::Lost { why, .. })) => why,
            Ok(settled) => return Some(settled),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() + self.pause >= self.end {
            let (address, seconds) = (self.address.to_owned(), self.deadline.as_secs_f64());
            return Some(Err(CallError::Unreachable { address, seconds, why }));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(2));
        None
    }
}

/// Checks that `address` is of the form `host:port`, with an IPv6 host in brackets.
///
/// # Errors
/// [`CallError::Address`] where it is not.
pub fn check_address(address: &str) -> Result<(), CallError> {
    let well_formed = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = !host.is_empty() && !host.contains([':', '/', '@']);
        (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    match well_formed && transport::endpoint(address).is_ok() {
        true => Ok(()),
        false => Err(CallError::Address(format!("'{address}' is no address: host:port is expected"))),
    }
}

async fn channel(address: &str) -> Result<Channel, CallError> {
    check_address(address)?;
    let endpoint = transport::endpoint(address).map_err(|error| CallError::Address(error.to_string()))?;
    endpoint.connect().await.map_err(|error| {
        let source = error.source().map(|source| innermost(source).to_string());
        CallError::Lost { address: address.to_owned(), why: source.unwrap_or_else(|| error.to_string()) }
    })
}

fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error.source().map_or(error, innermost)
}

/// The control plane of one node.
#[derive(Clone, Debug)]
pub struct Node {
    address: String,
    client: NodeClient<Channel>,
}

impl Node {
    /// Dials the control address `host:port`, again and again until `deadline`.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] after the deadline.
    pub async fn connect(address: &str, deadline: Duration) -> Result<Self, CallError> {
        let mut attempts = Attempts::new(address, deadline);
        let channel = loop {
            if let Some(settled) = attempts.attempt(channel(address)).await {
                break settled?;
            }
        };
        let client = NodeClient::new(channel)
            .max_decoding_message_size(REPORT_MESSAGE_LIMIT)
            .max_encoding_message_size(CONTROL_MESSAGE_LIMIT);
        Ok(Self { address: address.to_owned(), client })
    }

    /// Dials as [`Node::connect`] does and asks the node what it is; one deadline holds for both, because
    /// whatever listens there may take the connection and then say nothing.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] after the deadline; [`CallError::Refused`] where another protocol is spoken.
    pub async fn dial(address: &str, deadline: Duration) -> Result<(Self, Description), CallError> {
        let end = Instant::now() + deadline;
        let node = Self::connect(address, deadline).await?;
        let silent = |_| CallError::Unreachable {
            address: address.to_owned(),
            seconds: deadline.as_secs_f64(),
            why: "something takes the connection and says nothing".into(),
        };
        let description = tokio::time::timeout_at(end, node.describe()).await.map_err(silent)??;
        if description.protocol != PROTOCOL {
            return Err(node.refused(&format!(
                "the node is release {} and speaks protocol {}, this coordinator is release {} and speaks {PROTOCOL}: run the same release on both",
                description.version,
                description.protocol,
                env!("CARGO_PKG_VERSION")
            )));
        }
        Ok((node, description))
    }

    /// The control address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks the node what it is.
    ///
    /// # Errors
    /// [`CallError`] when the node does not answer, or not in this protocol.
    pub async fn describe(&self) -> Result<Description, CallError> {
        let mut client = self.client.clone();
        let answer = self.answer(client.describe(wire::DescribeRequest {})).await?;
        Description::try_from(answer).map_err(|error| self.refused(&error.to_string()))
    }

    /// Makes the node a stage.
    ///
    /// # Errors
    /// [`CallError::Refused`] with the node's reason, or what went wrong on the way.
    pub async fn configure(&self, stage: StageSpec) -> Result<Configured, CallError> {
        let mut client = self.client.clone();
        self.answer(client.configure(wire::Stage::from(stage))).await.map(Configured::from)
    }

    /// Opens a run: commands go in, and their reports come out in the same order.
    ///
    /// # Errors
    /// [`CallError`] when the node does not take the call.
    pub async fn run(&self) -> Result<(mpsc::Sender<Command>, Reports), CallError> {
        let (sender, queue) = mpsc::channel(CONTROL_QUEUE);
        let commands = ReceiverStream::new(queue).map(wire::Command::from);
        let mut client = self.client.clone();
        let stream = self.answer(client.run(commands)).await?;
        Ok((sender, Reports { address: self.address.clone(), stream }))
    }

    async fn answer<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(CALL_DEADLINE, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(CallError::from_status(&self.address, &status)),
            Err(_) => {
                let why = format!("no answer within {} s", CALL_DEADLINE.as_secs());
                Err(CallError::Lost { address: self.address.clone(), why })
            }
        }
    }

    fn refused(&self, why: &str) -> CallError {
        CallError::Refused { address: self.address.clone(), why: why.to_owned() }
    }
}

/// The reports of one run.
pub struct Reports {
    address: String,
    stream: Streaming<wire::Report>,
}

impl Reports {
    /// The next report, or `None` where the node ended the run in peace.
    ///
    /// # Errors
    /// [`CallError`] with the node's reason for giving the run up, or the connection's.
    pub async fn next(&mut self) -> Result<Option<Report>, CallError> {
        let report =
            self.stream.message().await.map_err(|status| CallError::from_status(&self.address, &status))?;
        let refused = |why: crate::error::ProtocolError| CallError::Refused {
            address: self.address.clone(),
            why: why.to_string(),
        };
        report.map(Report::try_from).transpose().map_err(refused)
    }
}

/// Opens the link from below to the node whose data address is `address`. `errors` says what may
/// come back. A node whose run has not started yet is tried again.
///
/// # Errors
/// [`CallError`] when the deadline passes or the node refuses.
pub async fn exchange(
    address: &str,
    errors: &Contract,
    deadline: Duration,
) -> Result<Link<wire::ErrorSignal>, CallError> {
    let mut attempts = Attempts::new(address, deadline);
    loop {
        if let Some(settled) = attempts.attempt(try_exchange(address, errors)).await {
            return settled;
        }
    }
}

async fn try_exchange(address: &str, errors: &Contract) -> Result<Link<wire::ErrorSignal>, CallError> {
    let (sender, request) = link::request::<wire::Activation>(errors)?;
    let mut client = data(address).await?;
    let call = client.exchange(request).await;
    opened(address, sender, errors, call)
}

/// Opens the link from above to the last stage. `activations` says what may come back.
///
/// # Errors
/// [`CallError`] when the deadline passes or the node refuses.
pub async fn collect(
    address: &str,
    activations: &Contract,
    deadline: Duration,
) -> Result<Link<wire::Activation>, CallError> {
    let mut attempts = Attempts::new(address, deadline);
    loop {
        if let Some(settled) = attempts.attempt(try_collect(address, activations)).await {
            return settled;
        }
    }
}

async fn try_collect(address: &str, activations: &Contract) -> Result<Link<wire::Activation>, CallError> {
    let (sender, request) = link::request::<wire::ErrorSignal>(activations)?;
    let mut client = data(address).await?;
    let call = client.collect(request).await;
    opened(address, sender, activations, call)
}

/// A link of its own connection: one bulk stream per connection is what HTTP/2 carries fastest.
async fn data(address: &str) -> Result<LayerClient<Channel>, CallError> {
    let client = LayerClient::new(channel(address).await?);
    Ok(client.max_decoding_message_size(DATA_MESSAGE_LIMIT).max_encoding_message_size(DATA_MESSAGE_LIMIT))
}

fn opened<D: Direction>(
    address: &str,
    sender: mpsc::Sender<Message>,
    contract: &Contract,
    call: Result<tonic::Response<Streaming<D>>, Status>,
) -> Result<Link<D>, CallError> {
    let stream = call.map_err(|status| CallError::from_status(address, &status))?.into_inner();
    Ok(Link { sender, incoming: Incoming::new(stream, contract.clone()) })
}
