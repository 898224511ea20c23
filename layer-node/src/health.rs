//! `layer-node health`: asks a node how it does, for supervisors that speak no gRPC, such as Docker.

use crate::failure::Failure;
use clap::Args;
use proto::transport;
use std::time::Duration;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How long the node may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// Flags of `layer-node health`.
#[derive(Args, Debug)]
pub struct HealthFlags {
    /// The node's health port: HOST:PORT, or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7102")]
    pub health: String,
}

/// Asks the node, and returns the line with its answer.
///
/// # Errors
/// A node that does not answer, or that is stopping.
pub async fn health(flags: &HealthFlags) -> Result<String, Failure> {
    let address = &flags.health;
    let answer = tokio::time::timeout(LIMIT, ask(address)).await;
    let status = answer.unwrap_or_else(|_| Err(format!("it is silent for {} s", LIMIT.as_secs())));
    match status {
        Ok(ServingStatus::Serving) => Ok("serving\n".into()),
        Ok(_) => {
            Err(format!("the node at {address} is stopping: wait for its end, then start it again").into())
        }
        Err(why) => {
            Err(format!("no node answers at {address} ({why}): start it, or name its --health").into())
        }
    }
}

async fn ask(address: &str) -> Result<ServingStatus, String> {
    let channel = transport::dial::probe(address).await.map_err(|failure| failure.sentence)?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    answer.map(|answer| answer.into_inner().status()).map_err(|status| status.message().into())
}
