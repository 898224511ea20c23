//! A node of another release, which says so when it is asked, and which nobody may take for a stage.

use proto::wire;
use proto::wire::node_server::NodeServer;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

/// A node of another release.
pub struct Foreign {
    /// The protocol that it says it speaks.
    pub protocol: u32,
    /// Its data port, which this protocol may not allow.
    pub data_port: u32,
}

#[tonic::async_trait]
impl wire::node_server::Node for Foreign {
    async fn describe(
        &self,
        _: Request<wire::DescribeRequest>,
    ) -> Result<Response<wire::Description>, Status> {
        let description = wire::Description {
            version: "9.9.9".into(),
            protocol: self.protocol,
            device: "cpu".into(),
            threads: 1,
            data_port: self.data_port,
            ..Default::default()
        };
        Ok(Response::new(description))
    }

    async fn configure(&self, _: Request<wire::Stage>) -> Result<Response<wire::Configured>, Status> {
        unreachable!("a node of another protocol is left alone")
    }

    type RunStream = BoxStream<wire::Report>;

    async fn run(&self, _: Request<Streaming<wire::Command>>) -> Result<Response<Self::RunStream>, Status> {
        unreachable!("a node of another protocol is left alone")
    }

    async fn audit(&self, _: Request<wire::AuditRequest>) -> Result<Response<wire::Ledger>, Status> {
        unreachable!("a node of another protocol is left alone")
    }
}

impl Foreign {
    /// Serves at `address` until the runtime is dropped.
    pub fn serve(self, address: &str) -> Runtime {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        let server = tonic::transport::Server::builder().add_service(NodeServer::new(self));
        runtime.spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        runtime
    }
}
