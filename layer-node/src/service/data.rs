//! The data plane: links from neighbours.

use super::pump;
use super::registry::{End, LinkRegistry, PendingLink};
use crate::exec::cancellation::Cancellation;
use crate::meters::Meters;
use futures::{Stream, StreamExt, stream};
use proto::link::framing::Direction;
use proto::link::{Incoming, named_run, outgoing};
use proto::transport::admission::{self, ConnectionInfo, Kept};
use proto::wire;
use proto::wire::layer_server::Layer;
use std::pin::Pin;
use tonic::{Code, Request, Response, Status, Streaming};

type Parts<D> = Pin<Box<dyn Stream<Item = Result<D, Status>> + Send>>;

/// Receives the links of the run that is under way.
#[derive(Clone)]
pub struct DataService {
    hub: LinkRegistry,
    meters: Meters,
}

impl DataService {
    /// A service that finds runs in `hub`.
    pub fn new(hub: LinkRegistry, meters: Meters) -> Self {
        Self { hub, meters }
    }

    fn link<In: Direction, Out: Direction>(
        &self,
        side: End,
        request: Request<Streaming<In>>,
    ) -> Result<Response<Parts<Out>>, Status> {
        let slot = self.hub.take(side, named_run(request.metadata())).inspect_err(|status| {
            // Who comes before the run does is asked to come again.
            if status.code() != Code::Unavailable {
                self.meters.refused_links.inc();
            }
        })?;
        let visit = admission::visit(&request);
        let PendingLink { peer, contract, to_worker, from_worker, fault } = slot;
        let peer = match visit.as_ref().and_then(ConnectionInfo::peer) {
            Some(address) => format!("{peer} at {address}"),
            None => peer,
        };
        let kept = visit.as_ref().map(ConnectionInfo::keep);
        tracing::debug!(?side, %peer, "link opened");
        let incoming = Incoming::new(request.into_inner(), contract);
        tokio::spawn(pump(incoming, to_worker, fault.clone(), peer, self.meters.clone()));
        let parts = outgoing::<Out>(from_worker).map(Ok).take_until(ended(fault.clone()));
        Ok(Response::new(Box::pin(
            parts.chain(stream::once(reason(fault, kept)).filter_map(std::future::ready)),
        )))
    }
}

async fn ended(fault: Cancellation) {
    fault.ended().await;
}

/// The status that tells the neighbour why the run failed, if it did. Until then its connection is kept.
async fn reason<D>(fault: Cancellation, _kept: Option<Kept>) -> Option<Result<D, Status>> {
    fault.trouble().map(|trouble| Err(trouble.status()))
}

#[tonic::async_trait]
impl Layer for DataService {
    type ExchangeStream = Parts<wire::ErrorSignal>;
    type CollectStream = Parts<wire::Activation>;

    async fn exchange(
        &self,
        request: Request<Streaming<wire::Activation>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        self.link(End::Below, request)
    }

    async fn collect(
        &self,
        request: Request<Streaming<wire::ErrorSignal>>,
    ) -> Result<Response<Self::CollectStream>, Status> {
        self.link(End::Above, request)
    }
}
