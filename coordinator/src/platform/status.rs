//! One status of a run, in the words of Kubeflow Trainer.

use serde_json::json;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use time::OffsetDateTime;

/// How a run does at one moment.
///
/// The server puts the newest status in the place of the one before, whole: a field that is left out is forgotten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Status {
    /// The part of the run that is done, in percent.
    pub percentage: u64,
    /// The time until the run is done; `None` where it is not known.
    pub remaining: Option<Duration>,
    /// The newest numbers.
    pub metrics: Metrics,
    /// The moment that the status is of.
    pub at: SystemTime,
}

/// The newest numbers of a run, under the names that they have in its folder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Metrics {
    /// The number of training steps done.
    pub step: u64,
    /// The epoch of the newest step, from 0.
    pub epoch: Option<u64>,
    /// The newest step's mean loss.
    pub loss: Option<f64>,
    /// The fraction of the newest step's samples whose label ranked first.
    pub accuracy: Option<f64>,
    /// Samples per second in the newest step.
    pub images_per_s: Option<f64>,
    /// The fraction of the test set whose label ranked first, in the newest evaluation.
    pub test_top1: Option<f64>,
}

impl Metrics {
    /// The metrics that have a value, by name. The server takes values as text, of 1 to 64 characters.
    fn values(&self) -> impl Iterator<Item = (&'static str, String)> {
        // Rust's short form has an exponent where a number is very large or very small, so it stays within the limit.
        let number =
            |value: Option<f64>| value.filter(|value| value.is_finite()).map(|value| format!("{value:?}"));
        [
            ("step", Some(self.step.to_string())),
            ("epoch", self.epoch.map(|epoch| epoch.to_string())),
            ("loss", number(self.loss)),
            ("accuracy", number(self.accuracy)),
            ("images_per_s", number(self.images_per_s)),
            ("test_top1", number(self.test_top1)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl Status {
    /// The body of the request that posts this status.
    pub fn body(&self) -> String {
        let metrics = self.metrics.values().map(|(name, value)| json!({ "name": name, "value": value }));
        let mut status = json!({
            "progressPercentage": self.percentage.min(100),
            "metrics": metrics.collect::<Vec<_>>(),
            "lastUpdatedTime": rfc_3339(self.at),
        });
        if let Some(remaining) = self.remaining {
            // The server's type is a Go int32.
            status["estimatedRemainingSeconds"] = remaining.as_secs().min(i32::MAX as u64).into();
        }
        json!({ "trainerStatus": status }).to_string()
    }
}

/// A moment in the form of RFC 3339, as in `2026-09-30T12:00:00Z`.
fn rfc_3339(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap_or(i64::MAX));
    let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let ((year, month, day), (hour, minute, second)) = (moment.to_calendar_date(), moment.to_hms());
    format!("{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn status() -> Status {
        let metrics = Metrics {
            step: 7,
            epoch: Some(0),
            loss: Some(0.25),
            accuracy: Some(1.0),
            images_per_s: Some(1e300),
            test_top1: Some(1e-9),
        };
        let at = UNIX_EPOCH + Duration::from_millis(1_790_769_599_750);
        Status { percentage: 45, remaining: Some(Duration::from_millis(90_400)), metrics, at }
    }

    #[test]
    fn a_body_has_the_fields_and_types_of_trainer() {
        let due = r#"{"trainerStatus":{
            "progressPercentage":45,
            "estimatedRemainingSeconds":90,
            "metrics":[
                {"name":"step","value":"7"},
                {"name":"epoch","value":"0"},
                {"name":"loss","value":"0.25"},
                {"name":"accuracy","value":"1.0"},
                {"name":"images_per_s","value":"1e300"},
                {"name":"test_top1","value":"1e-9"}],
            "lastUpdatedTime":"2026-09-30T11:59:59Z"}}"#;
        let body: Value = serde_json::from_str(&status().body()).unwrap();
        assert_eq!(body, serde_json::from_str::<Value>(due).unwrap());
    }

    #[test]
    fn what_is_not_known_is_left_out_and_numbers_stay_within_their_types() {
        let metrics = Metrics { loss: Some(f64::NAN), accuracy: Some(f64::INFINITY), ..Metrics::default() };
        let unknown = Status { percentage: 900, remaining: None, metrics, at: UNIX_EPOCH };
        let due = r#"{"trainerStatus":{"progressPercentage":100,"metrics":[{"name":"step","value":"0"}],"lastUpdatedTime":"1970-01-01T00:00:00Z"}}"#;
        let body: Value = serde_json::from_str(&unknown.body()).unwrap();
        assert_eq!(body, serde_json::from_str::<Value>(due).unwrap());
        let long = Status { remaining: Some(Duration::MAX), ..unknown };
        assert!(long.body().contains("\"estimatedRemainingSeconds\":2147483647"), "{}", long.body());
    }
}
