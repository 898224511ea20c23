//! Tests of the event file in a run's folder: it holds the curves of the JSON files, with each step once, also after
//! a resume. The tests' own decoder follows the format's description alone.

use e2e::{Bench, Run};
use serde_json::Value;
use std::collections::BTreeMap;

const KEYS: &str = r#"
[rule]
name = "feedback_alignment"
[train]
epochs = 3
batch = 16
[pipeline]
microbatches = 2
stages = ["branch2", "down"]
[snapshot]
every_steps = 10
keep_last = 10
[metrics]
layers_every = 4
"#;

/// The training samples: nine minibatches of an epoch have 16, and the last has 6.
const LIMIT: &str = "data.limit=150";

/// A curve's points, in the order of the file.
type Curves = BTreeMap<String, Vec<(u64, f32)>>;

#[test]
fn the_event_file_holds_what_the_json_files_hold() {
    let bench = Bench::new();
    let config = bench.config(KEYS);
    let run = bench.trained(&config, "curves", &[LIMIT]);
    assert_eq!(curves(&run), told(&run));
    // The run resumes at the end of the second epoch: it repeats that evaluation and the third epoch.
    let ended = bench.start("curves", &config, &["--local", "--resume", "20", "--set", LIMIT]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(curves(&run), told(&run));
}

/// The curves from `metrics.jsonl` and `evaluations.jsonl`. The last minibatch of each epoch has 6 samples and is drawn with
/// the 16 before it.
fn told(run: &Run) -> Curves {
    let mut curves = Curves::new();
    let mut point = |curve: String, line: &Value, value: &Value| {
        let point = (line["step"].as_u64().unwrap(), value.as_f64().unwrap() as f32);
        curves.entry(curve).or_default().push(point);
    };
    let lines = run.metrics();
    for (at, line) in lines.iter().enumerate() {
        let short = line["samples"] == 6;
        assert_eq!((short, line["step"].as_u64().unwrap() % 10 == 0), (short, short), "{line}");
        for name in ["loss", "accuracy", "images_per_s"] {
            let drawn = if short { pooled(&lines[at - 1], line, name) } else { line[name].clone() };
            point(format!("train/{name}"), line, &drawn);
        }
        point("train/epoch".into(), line, &line["epoch"]);
        point("lr/w".into(), line, &line["lr"]);
        for layer in line["layers"].as_array().unwrap() {
            let quantities = ["angle_deg", "norm_ratio", "output_angle_deg", "error_angle_deg"];
            for name in quantities.into_iter().filter(|name| !layer[*name].is_null()) {
                point(format!("{name}/{}", layer["name"].as_str().unwrap()), line, &layer[name]);
            }
        }
    }
    for line in run.lines("evaluations.jsonl") {
        for name in ["loss", "top1", "top5"] {
            point(format!("test/{name}"), &line, &line[name]);
        }
    }
    // The first layer sends no error, so it has none to compare.
    assert_eq!(curves.len(), 5 + 4 * 5 - 1 + 3, "{:?}", curves.keys());
    assert_eq!(curves["test/top1"].len(), 3);
    curves
}

/// The point of a short minibatch: that of its samples and those of the step before it.
fn pooled(before: &Value, line: &Value, name: &str) -> Value {
    let number = |line: &Value, name: &str| line[name].as_f64().unwrap();
    let samples = number(before, "samples") + number(line, "samples");
    let sum = |name: &str| {
        number(before, name) * number(before, "samples") + number(line, name) * number(line, "samples")
    };
    match name {
        "images_per_s" => samples / (number(before, "seconds") + number(line, "seconds")),
        name => sum(name) / samples,
    }
    .into()
}

/// The curves from the only event file.
fn curves(run: &Run) -> Curves {
    let files = std::fs::read_dir(&run.folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.to_str().unwrap().contains("tfevents")).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let bytes = std::fs::read(file).unwrap();
    let mut records = records(&bytes).into_iter();
    let version = fields(records.next().expect("a first record"));
    assert!(
        matches!(version[..], [(1, Field::Eight(_)), (3, Field::Bytes(b"brain.Event:2"))]),
        "{version:?}"
    );
    let mut curves = Curves::new();
    for event in records {
        let event = fields(event);
        let [(1, Field::Eight(time)), (2, Field::Number(step)), (5, Field::Bytes(summary))] = event[..]
        else {
            panic!("{event:?}")
        };
        assert!(f64::from_bits(time) > 1.7e9, "seconds since the epoch");
        for value in fields(summary) {
            let (1, Field::Bytes(value)) = value else { panic!("{value:?}") };
            let value = fields(value);
            let [(1, Field::Bytes(tag)), (2, Field::Four(bits))] = value[..] else { panic!("{value:?}") };
            let tag = String::from_utf8(tag.to_vec()).unwrap();
            curves.entry(tag).or_default().push((step, f32::from_bits(bits)));
        }
    }
    curves
}

/// The records of a file, with every checksum verified.
fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let (header, rest) = bytes.split_at(12);
        let (record, rest) = rest.split_at(length);
        for (data, sum) in [(&header[..8], &header[8..]), (record, &rest[..4])] {
            assert_eq!(masked(crc32c(data)).to_le_bytes(), sum);
        }
        records.push(record);
        bytes = &rest[4..];
    }
    records
}

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282ead8)
}

/// CRC-32C: the polynomial of Castagnoli, 0x1edc6f41, with bits in their natural order.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(byte.reverse_bits()) << 24;
        for _ in 0..8 {
            crc = (crc << 1) ^ if crc >> 31 == 1 { 0x1edc6f41 } else { 0 };
        }
    }
    !crc.reverse_bits()
}

/// A field of a protobuf message, by its wire type.
#[derive(Debug)]
enum Field<'a> {
    Number(u64),
    Eight(u64),
    Bytes(&'a [u8]),
    Four(u32),
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Eight(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            5 => Field::Four(u32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}
