//! Tests of the fuzzers' corpus: every file goes through its fuzz target's function.

#[path = "../../../fuzz/decoders/control.rs"]
mod control;
#[path = "../../../fuzz/decoders/framing.rs"]
mod framing;
#[path = "../../../fuzz/decoders/lane.rs"]
mod lane;
#[path = "../../../fuzz/decoders/received.rs"]
mod received;

use crate::valid_stage;
use prost::Message as _;
use proto::control::{Command, Measure, RunLane, Start};
use proto::failure::Failure;
use proto::lane::Lane;
use proto::link::Role;
use proto::microbatch::{Message, MicrobatchHeader, MicrobatchId, Phase};
use proto::tensor::{Kind, TensorData};
use proto::wire;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

#[test]
fn the_corpus_is_decoded_or_refused() {
    let targets: [(&str, Target); 3] =
        [("framing", framing::run), ("control", control::run), ("lane", lane::run)];
    for (target, decode) in targets {
        if std::env::var_os("NEUROPIL_WRITE_CORPUS").is_some() {
            fs::create_dir_all(folder(target)).unwrap();
            for (name, bytes) in seeds(target) {
                fs::write(folder(target).join(name), bytes).unwrap();
            }
        }
        let files: Vec<_> = fs::read_dir(folder(target)).unwrap().flatten().collect();
        assert!(!files.is_empty(), "{target} has a corpus");
        files.iter().for_each(|file| decode(&fs::read(file.path()).unwrap()));
    }
}

/// Valid inputs, with which a fuzzer starts.
fn seeds(target: &str) -> Vec<(&'static str, Vec<u8>)> {
    let lane = b"\0\x00\x01\x40\x80\x41\x81\xc0".to_vec();
    let two = b"\0\x00\x40\x80\xc0\x10\x11\x50\x90\x51\x91\xd0".to_vec();
    match target {
        "framing" => {
            let [whole, eight] = framing::KINDS;
            let two = [framed(0, whole), framed(1, whole), framed(0, whole)].concat();
            vec![("message", framed(0, whole)), ("two_forms", two), ("eight_bits", framed(0, eight))]
        }
        "lane" => vec![("train", lane), ("two_steps", two), ("evaluate", b"\x01\x00\x01\x02".to_vec())],
        _ => {
            let start = Command::Start(Start {
                run: "run".into(),
                incarnation: 1,
                above: Some("127.0.0.1:7100".into()),
                backward: Some("127.0.0.1:7200".into()),
                connect_deadline: Duration::from_secs(1),
                message_deadline: Duration::from_secs(2),
            });
            let lane = RunLane::of_one_step(Lane::evaluate(2).starting_at(3), 8, Measure::Matrices);
            let command = |command: Command| [vec![1], wire::Command::from(command).encode_to_vec()].concat();
            let failure = Failure::own("the disk is full").of(Role::Stage(3));
            let report = wire::Report { report: Some(wire::report::Report::Step(done())) };
            vec![
                ("stage", [vec![0], valid_stage::stage().encode_to_vec()].concat()),
                ("start", command(start)),
                ("lane", command(Command::Lane(lane))),
                ("report", [vec![2], report.encode_to_vec()].concat()),
                ("ledger", [vec![5], ledger().encode_to_vec()].concat()),
                ("failure", [vec![4], wire::Failure::from(failure).encode_to_vec()].concat()),
                (
                    "description",
                    [vec![3], wire::Description { protocol: 3, ..Default::default() }.encode_to_vec()]
                        .concat(),
                ),
            ]
        }
    }
}

/// The function of a fuzz target.
type Target = fn(&[u8]);

/// The parts of a message of the form with this number, on a link in `kind`.
fn framed(form: u32, kind: Kind) -> Vec<u8> {
    let contract = framing::contract(kind);
    let header = MicrobatchHeader {
        run: contract.run.clone(),
        incarnation: contract.incarnation,
        phase: Phase::Train,
        id: MicrobatchId { step: 7, index: 1 },
        minibatch: 4,
        microbatches: 2,
        offset: 2,
        size: 2,
        form,
    };
    let tensors = contract.forms[form as usize].values.iter().map(|value| {
        let shape: Vec<u64> = std::iter::once(2).chain(value.shape.iter().copied()).collect();
        let elements = vec![0.5; shape.iter().product::<u64>() as usize];
        (value.name.clone(), TensorData::round_from_f32(kind, shape, &elements).unwrap())
    });
    let message = Message { header, tensors: tensors.collect() };
    let parts = proto::link::framing::parts::<wire::Activation>(message);
    parts.flat_map(|part| part.encode_length_delimited_to_vec()).collect()
}

fn party(stage: u32) -> wire::Party {
    wire::Party { stage, backward: false }
}

fn ledger() -> wire::Ledger {
    let value = wire::Value { name: "relu1".into(), shape: vec![8, 4, 4] };
    let link = wire::LinkRecord {
        to: Some(party(0)),
        carried: 1,
        phase: 1,
        tensors: vec![value],
        kinds: vec![1],
        chain: vec![7; 32].into(),
        ..Default::default()
    };
    let control = wire::ControlRecord {
        to: Some(party(0)),
        message: 6,
        chain: vec![7; 32].into(),
        ..Default::default()
    };
    wire::Ledger {
        of: Some(wire::Party { stage: 1, backward: true }),
        run: "run".into(),
        crossed: vec![link.clone()],
        consumed: vec![link],
        control: vec![control],
        layers: vec![wire::LayerReads { layer: "conv1".into(), x: true, ..Default::default() }],
        refusals: vec![wire::Refusal { from: Some(party(1)), carried: 2, sentence: "it was refused".into() }],
        ..Default::default()
    }
}

fn done() -> wire::StepDone {
    let phase = wire::Phase::Train.into();
    wire::StepDone { step: 3, phase, finite: true, layers: vec![Default::default()], ..Default::default() }
}
