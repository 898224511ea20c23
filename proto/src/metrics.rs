//! The metrics port: it answers `GET /metrics` with the process's metrics, and refuses every other request.
//!
//! Any connection may be unknown: a large request head is refused, a connection carries one request, and admission
//! bounds the number of connections and their duration.

mod family;

pub use family::Family;

use crate::transport::admission::{self, Refused};
use crate::transport::listener::Listener;
use crate::transport::tls::{Callers, Security};
use futures::StreamExt;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};

/// The content type of an answer: OpenMetrics, which Prometheus accepts from every server.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The largest head of a request, and the smallest bound that hyper supports. A scraper's head has some hundred
/// bytes.
const HEAD: usize = 8 << 10;
/// The most fields of a request's head.
const FIELDS: usize = 64;

/// The metrics of a process. A thread that changes several related metrics holds them meanwhile, so that every
/// scrape sees all of the changes or none.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Registry>>);

impl Shown {
    /// Shows the metrics of `registry`.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(Mutex::new(registry)))
    }

    /// Shows the moment at which the certificates of `security` expire as well. In plaintext there is none.
    pub fn show_expiry(&self, security: &Security) {
        self.hold().register_collector(Box::new(Expiry(security.clone())));
    }

    /// Makes scrapes wait until the guard is dropped.
    pub fn hold(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The first moment at which the certificate of the process or of its CA expires. Files that were renewed are read by
/// the scrape.
#[derive(Debug)]
struct Expiry(Security);

impl Collector for Expiry {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let seconds = self.0.expires_at();
        if seconds == 0 {
            return Ok(());
        }
        let help = "When the certificate of this process or of its CA expires, since the epoch.";
        let gauge = ConstGauge::new(seconds);
        let (name, kind) = ("neuropil_certificate_expiry", gauge.metric_type());
        gauge.encode(encoder.encode_descriptor(name, help, Some(&Unit::Seconds), kind)?)
    }
}

/// Answers requests at `listener` for as long as the future is polled; `refused` counts the connections that
/// admission closed.
pub async fn serve(listener: Listener, shown: Shown, refused: Refused) {
    let mut connections =
        pin!(admission::connections(listener, admission::PROBES, refused, Callers::anybody()));
    while let Some(connection) = connections.next().await {
        // Admission has waited already, where no connection could be accepted.
        let Ok(connection) = connection else { continue };
        let shown = shown.clone();
        let service = service_fn(move |request| {
            let answer = answer(&request, &shown);
            async move { Ok::<_, Infallible>(answer) }
        });
        let mut http = http1::Builder::new();
        http.keep_alive(false).header_read_timeout(None).max_buf_size(HEAD).max_headers(FIELDS);
        tokio::spawn(async move {
            if let Err(error) = http.serve_connection(TokioIo::new(connection), service).await {
                tracing::debug!(%error, "a scrape failed");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, shown: &Shown) -> Response<String> {
    let mut answer = Response::new(String::new());
    if request.uri().path() != "/metrics" {
        *answer.status_mut() = StatusCode::NOT_FOUND;
        *answer.body_mut() = "the metrics are at /metrics\n".into();
    } else if request.method() != Method::GET && request.method() != Method::HEAD {
        *answer.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    } else if encode(answer.body_mut(), &shown.hold()).is_err() {
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    } else {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    }
    answer
}
