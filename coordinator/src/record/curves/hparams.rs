//! An event file that tells TensorBoard's HParams page of a session, which is a run with its hyperparameters, or of the
//! experiment that the sessions belong to.
//!
//! The messages are those of the plugin's `plugin_data.proto` and `api.proto`, with the fields that are used here. They
//! lie in the metadata of a value whose tensor means nothing. The value's tag says which message it is.

use super::event::{Event, Metadata, Null, PluginData, Scalar, Summary, VERSION, record};
use super::{at, unwritable};
use crate::run_error::RunError;
use prost::{Message, Oneof};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The name of the file. TensorBoard reads the files of a folder in the order of their names, and this one is written
/// last.
const FILE: &str = "events.out.tfevents.9999999999.hparams";
const PLUGIN: &str = "hparams";

/// The value of a hyperparameter.
#[derive(Clone, PartialEq, Oneof)]
pub enum Value {
    /// A number.
    #[prost(double, tag = "2")]
    Number(f64),
    /// A text.
    #[prost(string, tag = "3")]
    Text(String),
    /// True or false.
    #[prost(bool, tag = "4")]
    Switch(bool),
}

/// Hyperparameters by their names.
pub type Parameters = BTreeMap<String, Value>;

impl Value {
    /// The plugin's number for the type.
    fn kind(&self) -> i32 {
        match self {
            Value::Text(_) => 1,
            Value::Switch(_) => 2,
            Value::Number(_) => 3,
        }
    }
}

/// The end of a session.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// Whether the run came to a result.
    pub well: bool,
    /// When the run began, in seconds since the Unix epoch; 0 if nobody knows.
    pub began: u64,
    /// When it ended.
    pub at: u64,
}

/// Whether `folder` has such a file.
pub fn is_there(folder: &Path) -> bool {
    folder.join(FILE).exists()
}

/// Writes the file of an ended session into the run's `folder`.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_session(folder: &Path, parameters: &Parameters, ended: Ended) -> Result<(), RunError> {
    let parameters =
        parameters.iter().map(|(name, value)| (name.clone(), Field { kind: Some(value.clone()) }));
    let start = SessionStart { hparams: parameters.collect(), start_time_secs: ended.began as f64 };
    let end = SessionEnd { status: if ended.well { 1 } else { 2 }, end_time_secs: ended.at as f64 };
    let start = ("_hparams_/session_start_info", Data { start: Some(start), ..Data::default() });
    write(folder, &[start, ("_hparams_/session_end_info", Data { end: Some(end), ..Data::default() })])
}

/// Writes the file of an experiment into `folder`: its hyperparameters, each with a value as an example, and its
/// metrics, each with the tag of its curve and the name that people read.
///
/// # Errors
/// A folder that cannot be written.
pub fn write_experiment(
    folder: &Path,
    name: &str,
    parameters: &Parameters,
    metrics: &[(&str, &str)],
) -> Result<(), RunError> {
    let parameter = |(name, value): (&String, &Value)| ParameterInfo {
        name: name.clone(),
        kind: value.kind(),
        differs: true,
    };
    let metric = |(tag, name): &(&str, &str)| MetricInfo {
        name: Some(MetricName { tag: (*tag).to_owned() }),
        display_name: (*name).to_owned(),
    };
    let experiment = Experiment {
        name: name.to_owned(),
        parameters: parameters.iter().map(parameter).collect(),
        metrics: metrics.iter().map(metric).collect(),
    };
    write(folder, &[("_hparams_/experiment", Data { experiment: Some(experiment), ..Data::default() })])
}

fn write(folder: &Path, values: &[(&str, Data)]) -> Result<(), RunError> {
    let mut bytes = record(&Event { file_version: Some(VERSION.into()), ..at(0) });
    for (tag, data) in values {
        let plugin = PluginData { name: PLUGIN.into(), content: data.encode_to_vec() };
        let value = Scalar {
            tag: (*tag).to_owned(),
            value: None,
            tensor: Some(Null::default()),
            metadata: Some(Metadata { plugin: Some(plugin), class: Metadata::TENSOR }),
        };
        bytes.extend(record(&Event { summary: Some(Summary { values: vec![value] }), ..at(0) }));
    }
    // A name with `tfevents` would be read before the file is whole.
    let (temporary, path) = (folder.join("hparams.writing"), folder.join(FILE));
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
    written.map_err(|error| unwritable(&path, &error))
}

/// `HParamsPluginData`, of which one message is set.
#[derive(Clone, PartialEq, Message)]
struct Data {
    #[prost(message, optional, tag = "2")]
    experiment: Option<Experiment>,
    #[prost(message, optional, tag = "3")]
    start: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    end: Option<SessionEnd>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    hparams: BTreeMap<String, Field>,
    #[prost(double, tag = "5")]
    start_time_secs: f64,
}

/// `google.protobuf.Value`, as far as it is used here.
#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(oneof = "Value", tags = "2, 3, 4")]
    kind: Option<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct SessionEnd {
    /// 1 for success, 2 for failure.
    #[prost(int32, tag = "1")]
    status: i32,
    #[prost(double, tag = "2")]
    end_time_secs: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Experiment {
    #[prost(message, repeated, tag = "4")]
    parameters: Vec<ParameterInfo>,
    #[prost(message, repeated, tag = "5")]
    metrics: Vec<MetricInfo>,
    #[prost(string, tag = "6")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct ParameterInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "4")]
    kind: i32,
    /// Whether sessions differ in it: the columns beside the curves are those of which this is true.
    #[prost(bool, tag = "7")]
    differs: bool,
}

#[derive(Clone, PartialEq, Message)]
struct MetricInfo {
    #[prost(message, optional, tag = "1")]
    name: Option<MetricName>,
    #[prost(string, tag = "3")]
    display_name: String,
}

#[derive(Clone, PartialEq, Message)]
struct MetricName {
    #[prost(string, tag = "2")]
    tag: String,
}

#[cfg(test)]
mod tests {
    use super::super::event::events;
    use super::*;

    /// The messages in the file of `folder`, by their tags.
    fn told(folder: &Path) -> Vec<(String, Data)> {
        let bytes = fs::read(folder.join(FILE)).unwrap();
        let values =
            events(&bytes).flat_map(|event| event.summary.into_iter().flat_map(|summary| summary.values));
        let told = |value: Scalar| {
            let plugin = value.metadata.unwrap().plugin.unwrap();
            assert_eq!((plugin.name.as_str(), value.value), ("hparams", None));
            (value.tag, Data::decode(&plugin.content[..]).unwrap())
        };
        values.map(told).collect()
    }

    #[test]
    fn a_session_tells_what_it_set_and_how_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let values = [Value::Number(0.1), Value::Text("sgd".into()), Value::Switch(true)];
        let names = ["optimizer.lr", "optimizer.name", "optimizer.nesterov"].map(str::to_owned);
        let parameters: Parameters = names.into_iter().zip(values).collect();
        assert!(!is_there(folder.path()));
        write_session(folder.path(), &parameters, Ended { well: false, began: 5, at: 7 }).unwrap();
        assert!(is_there(folder.path()));
        let [(start_tag, start), (end_tag, end)] = &told(folder.path())[..] else { panic!() };
        assert_eq!([start_tag, end_tag], ["_hparams_/session_start_info", "_hparams_/session_end_info"]);
        let start = start.start.as_ref().unwrap();
        let kept = start.hparams.iter().map(|(name, field)| (name.clone(), field.kind.clone().unwrap()));
        assert_eq!((kept.collect::<Parameters>(), start.start_time_secs), (parameters, 5.0));
        assert_eq!(end.end, Some(SessionEnd { status: 2, end_time_secs: 7.0 }));
    }

    #[test]
    fn an_experiment_names_its_columns() {
        let folder = tempfile::tempdir().unwrap();
        let parameters = Parameters::from([("seed".to_owned(), Value::Number(1.0))]);
        write_experiment(folder.path(), "lr", &parameters, &[("test/top1", "test accuracy")]).unwrap();
        let [(tag, data)] = &told(folder.path())[..] else { panic!() };
        let experiment = data.experiment.as_ref().unwrap();
        assert_eq!((tag.as_str(), experiment.name.as_str()), ("_hparams_/experiment", "lr"));
        assert_eq!(experiment.parameters, [ParameterInfo { name: "seed".into(), kind: 3, differs: true }]);
        assert_eq!(experiment.metrics[0].name.as_ref().unwrap().tag, "test/top1");
    }
}
