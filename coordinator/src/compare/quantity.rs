//! The numbers that a run records over its steps: the series of the CSV, and the curves of the charts.

use crate::record::{Drawn, Evaluation, LayerTrace, Step};

/// A number that a run records again and again.
pub struct Quantity {
    /// The name of the series in the CSV, as in the run's records.
    pub series: &'static str,
    /// The title of its chart, and the part that its chart has in the names of files; none for a series that the CSV
    /// alone has.
    pub chart: Option<Look>,
    /// Where the number stands in the records.
    pub of: Of,
}

/// How a quantity is drawn.
pub struct Look {
    pub title: &'static str,
    /// The end of the name of the chart's own picture.
    pub file: &'static str,
    /// The unit behind every value: fractions are drawn in per cent.
    pub unit: &'static str,
    pub form: Form,
}

/// The treatment of the values before they are drawn.
#[derive(Clone, Copy, PartialEq)]
pub enum Form {
    /// Every step averaged with those before it; what diverges leaves the chart.
    Loss,
    /// Every step averaged with those before it.
    Smoothed,
    /// Time for a sample, averaged and turned into a speed.
    Speed,
    /// As recorded, with a mark at every point.
    Marked,
    /// As recorded.
    Plain,
    /// As recorded, at steps of its own.
    Signal,
    /// The same, with a logarithmic axis where the values are far apart.
    Ratio,
}

/// The place of a number in the records.
pub enum Of {
    Step(fn(&Step) -> Option<f64>),
    /// A mean over the minibatch: as recorded, and as drawn, where a short minibatch counts by its samples.
    Mean(fn(&Step) -> Option<f64>, fn(&Drawn) -> Option<f64>),
    Test(fn(&Evaluation) -> Option<f64>),
    Layer(fn(&LayerTrace) -> Option<f64>),
}

/// Every quantity, in the order of the CSV.
pub static ALL: [Quantity; 12] = [
    Quantity {
        series: "loss",
        chart: Some(Look { title: "Training loss", file: "loss", unit: "", form: Form::Loss }),
        of: Of::Mean(|step| step.loss, |drawn| drawn.loss),
    },
    Quantity {
        series: "accuracy",
        chart: Some(Look { title: "Training accuracy", file: "accuracy", unit: "%", form: Form::Smoothed }),
        of: Of::Mean(|step| step.accuracy, |drawn| drawn.accuracy),
    },
    Quantity {
        series: "test_loss",
        chart: Some(Look { title: "Test loss", file: "test-loss", unit: "", form: Form::Marked }),
        of: Of::Test(|evaluation| evaluation.loss),
    },
    Quantity {
        series: "test_top1",
        chart: Some(Look { title: "Test accuracy", file: "test-accuracy", unit: "%", form: Form::Marked }),
        of: Of::Test(|evaluation| evaluation.top1),
    },
    Quantity { series: "test_top5", chart: None, of: Of::Test(|evaluation| evaluation.top5) },
    Quantity {
        series: "angle_deg",
        chart: Some(Look { title: "Angle between W and B", file: "angle", unit: "°", form: Form::Plain }),
        of: Of::Layer(|layer| layer.angle_deg),
    },
    Quantity {
        series: "norm_ratio",
        chart: Some(Look { title: "‖B‖ / ‖W‖", file: "norm-ratio", unit: "", form: Form::Ratio }),
        of: Of::Layer(|layer| layer.norm_ratio),
    },
    Quantity {
        series: "output_angle_deg",
        chart: Some(Look {
            title: "Angle of outputs (W, B)",
            file: "output-angle",
            unit: "°",
            form: Form::Signal,
        }),
        of: Of::Layer(|layer| layer.output_angle_deg),
    },
    Quantity {
        series: "error_angle_deg",
        chart: Some(Look {
            title: "Angle of errors (W, B)",
            file: "error-angle",
            unit: "°",
            form: Form::Signal,
        }),
        of: Of::Layer(|layer| layer.error_angle_deg),
    },
    Quantity { series: "lr", chart: None, of: Of::Step(|step| step.lr) },
    Quantity { series: "lr_b", chart: None, of: Of::Step(|step| step.lr_b) },
    Quantity {
        series: "images_per_s",
        chart: Some(Look { title: "Images per second", file: "speed", unit: "", form: Form::Speed }),
        of: Of::Step(|step| step.images_per_s),
    },
];
