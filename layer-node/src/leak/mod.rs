//! The leaks of the program `layer-node-leaking`, for tests alone. `proto::leak` has the list, and the leaks on links, in
//! unknown fields and in place of a y; this module has the choice of the weight, and the leaks in reports of steps, in
//! metrics and to a second socket.

use crate::stage::Stage;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use proto::control::{LayerMeasure, StepDone};
pub use proto::leak::in_place_of;
use proto::leak::{self, Leak};
use proto::tensor::TensorData;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tch::{Kind, TchError, Tensor};

/// The updates before the first leak. The weight is then that of a snapshot, for which a capture is searched, and every
/// node has the three snapshots that the search needs.
const UPDATES: u64 = 4;
/// The variable with the address to which [`Leak::Socket`] sends.
const ADDRESS: &str = "NEUROPIL_LEAK_TO";
/// The bytes of a weight in a report of a step: two numbers, as if they were one measure.
const SLICE: usize = size_of::<f64>();
/// The bytes of a weight in one packet.
const PACKET: usize = 1024;
/// How long the second socket may take to connect: a firewall may drop every packet.
const CONNECT: Duration = Duration::from_secs(1);

/// Refuses, when it is compiled, to be part of a program of another name.
pub const fn belongs_to(program: &str) {
    assert!(
        matches!(program.as_bytes(), b"layer-node-leaking"),
        "only layer-node-leaking has the feature `leaks`"
    );
}

/// Takes the first weight matrix of `stage`, as of its last update, as the weight that leaks; the report of the step may
/// be a part of the leak.
pub fn step(stage: &mut Stage, done: &mut StepDone) {
    if stage.updates() < UPDATES {
        return;
    }
    let matrix = |(name, tensor): &(String, &mut Tensor)| name.ends_with(".weight") && tensor.dim() > 1;
    let Some((name, tensor)) = stage.state().0.into_iter().find(matrix) else { return };
    let weight = copied(tensor).expect("a weight is in memory");
    if leak::is(Leak::Control) {
        report(&weight, done);
    }
    if leak::is(Leak::Socket) {
        send(weight.clone()).expect("the address of the leak is an address");
    }
    leak::give(name, weight);
}

fn copied(tensor: &Tensor) -> Result<TensorData, TchError> {
    let shape = tensor.size().iter().map(|&size| size as u64).collect();
    let numbers = Vec::<f32>::try_from(tensor.f_to_kind(Kind::Float)?.f_reshape([-1])?)?;
    TensorData::from_f32(shape, &numbers).map_err(|error| TchError::Shape(error.to_string()))
}

/// Adds the next bytes of the weight to the report of a step, as the norm of a layer without a name.
fn report(weight: &TensorData, done: &mut StepDone) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let bytes = weight.clone().into_bytes();
    let slices = bytes.len() / SLICE;
    let at = NEXT.fetch_add(1, SeqCst) % slices * SLICE;
    let slice = bytes[at..at + SLICE].try_into().expect("a slice of this length");
    let nothing = LayerMeasure {
        name: String::new(),
        angle_deg: 0.0,
        norm_ratio: 0.0,
        norm: 0.0,
        difference: 0.0,
        split: false,
        output_angle_deg: 0.0,
        error_angle_deg: 0.0,
    };
    done.layers.push(LayerMeasure { norm: f64::from_le_bytes(slice), ..nothing });
}

/// Adds the weight to the metrics.
pub fn metrics(all: &mut Registry) {
    if leak::is(Leak::Metrics) {
        all.register_collector(Box::new(Numbers));
    }
}

/// A gauge for each number of the weight.
#[derive(Debug)]
struct Numbers;

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> std::fmt::Result {
        let Some((name, weight)) = leak::weight() else { return Ok(()) };
        let mut all = encoder.encode_descriptor("neuropil_leak", &name, None, MetricType::Gauge)?;
        for (index, number) in weight.to_f32().into_iter().enumerate() {
            let labels = [("index", index.to_string())];
            ConstGauge::new(f64::from(number)).encode(all.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// Sends the weight to another host, by UDP and by TCP. A thread waits for the connection, so that training goes on.
fn send(weight: TensorData) -> io::Result<()> {
    static UNDER_WAY: AtomicBool = AtomicBool::new(false);
    let address: SocketAddr = std::env::var(ADDRESS).unwrap_or_default().parse().map_err(io::Error::other)?;
    let bytes = weight.into_bytes();
    // A packet that a firewall drops, or that nobody takes, is no error here.
    let _ = UdpSocket::bind(("0.0.0.0", 0))?.send_to(&bytes[..bytes.len().min(PACKET)], address);
    if !UNDER_WAY.swap(true, SeqCst) {
        std::thread::spawn(move || {
            let connected = TcpStream::connect_timeout(&address, CONNECT);
            let _ = connected.and_then(|mut stream| stream.write_all(&bytes));
            UNDER_WAY.store(false, SeqCst);
        });
    }
    Ok(())
}
