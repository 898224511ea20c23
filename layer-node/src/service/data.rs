//! The data plane: the links from neighbours.

use crate::meters::Meters;
use proto::link::{LinkRefusal, LinkRegistry};
use proto::transport::grpc::{self, Parts};
use proto::wire::layer_server::Layer;
use proto::wire::{Activation, ErrorSignal, LayerValues};
use tonic::{Request, Response, Status, Streaming};

/// Receives the links of the current run.
#[derive(Clone)]
pub struct DataService {
    registry: LinkRegistry,
    meters: Meters,
}

impl DataService {
    /// A service that looks up runs in `registry`.
    pub fn new(registry: LinkRegistry, meters: Meters) -> Self {
        Self { registry, meters }
    }

    fn refuse(&self, refusal: LinkRefusal) -> Status {
        // An early refusal is not counted: the caller came before the run, and will try again.
        if refusal != LinkRefusal::Early {
            self.meters.refused_links.inc();
        }
        refusal.into()
    }
}

#[tonic::async_trait]
impl Layer for DataService {
    type ExchangeStream = Parts<ErrorSignal>;
    type CollectStream = Parts<Activation>;
    type ServeStream = Parts<ErrorSignal>;

    async fn exchange(
        &self,
        request: Request<Streaming<Activation>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        grpc::accept_exchange(&self.registry, request).map_err(|refusal| self.refuse(refusal))
    }

    async fn collect(
        &self,
        request: Request<Streaming<ErrorSignal>>,
    ) -> Result<Response<Self::CollectStream>, Status> {
        grpc::accept_collect(&self.registry, request).map_err(|refusal| self.refuse(refusal))
    }

    async fn serve(
        &self,
        request: Request<Streaming<LayerValues>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        grpc::accept_serve(&self.registry, request).map_err(|refusal| self.refuse(refusal))
    }
}
