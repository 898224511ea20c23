//! The networks of the bench: the zoo's ResNet-18 for images of 32 pixels, and that of examples/fashion.toml.

use proto::spec::graph::{INPUT, Init, LayerSpec, Op, Window};

/// A network, and the sizes of its training.
pub struct Case {
    pub layers: Vec<LayerSpec>,
    /// The shape of an image: channels, height, width.
    pub image: [i64; 3],
    /// N, the images of a minibatch.
    pub batch: i64,
    /// M, the microbatches of a minibatch.
    pub microbatches: i64,
}

/// The number of classes.
pub const CLASSES: i64 = 10;

impl Case {
    /// The case of this name.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "resnet18" => Some(Self { layers: resnet18(), image: [3, 32, 32], batch: 64, microbatches: 8 }),
            "fashion" => Some(Self { layers: fashion(), image: [1, 28, 28], batch: 128, microbatches: 4 }),
            _ => None,
        }
    }

    /// Images of a microbatch.
    pub fn size(&self) -> i64 {
        self.batch / self.microbatches
    }
}

/// A network that is written layer by layer.
#[derive(Default)]
struct Builder(Vec<LayerSpec>);

impl Builder {
    /// Adds a layer on `inputs`, and returns its name.
    fn add(&mut self, inputs: &[&str], op: Op) -> String {
        let name = format!("layer{}", self.0.len());
        self.0.push(LayerSpec::new(&name, inputs, op));
        name
    }

    /// A convolution that keeps the plane's size at stride 1, and its batch norm.
    fn conv(&mut self, x: &str, out: u32, kernel: u32, stride: u32) -> String {
        let (padding, bias, init) = (kernel / 2, false, Init::FanIn);
        let y = self.add(&[x], Op::Conv2d { out, kernel, stride, padding, bias, init });
        self.add(&[&y], Op::BatchNorm { eps: 1e-5, momentum: 0.1, gamma: 1.0 })
    }

    fn relu(&mut self, x: &str) -> String {
        self.add(&[x], Op::Relu)
    }

    fn head(mut self, x: &str) -> Vec<LayerSpec> {
        let x = self.add(&[x], Op::Flatten);
        self.add(&[&x], Op::Linear { out: CLASSES as u32, bias: true, init: Init::FanIn });
        self.0
    }
}

fn resnet18() -> Vec<LayerSpec> {
    let mut network = Builder::default();
    let stem = network.conv(INPUT, 64, 3, 1);
    let mut x = network.relu(&stem);
    for (out, stride) in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)] {
        let lower = network.conv(&x, out, 3, stride);
        let lower = network.relu(&lower);
        let upper = network.conv(&lower, out, 3, 1);
        let skip = if stride > 1 { network.conv(&x, out, 1, stride) } else { x };
        let sum = network.add(&[&upper, &skip], Op::Add);
        x = network.relu(&sum);
    }
    // The window of side 0 is the whole plane.
    let pooled = network.add(&[&x], Op::AvgPool(Window { kernel: 0, stride: 1, padding: 0 }));
    network.head(&pooled)
}

fn fashion() -> Vec<LayerSpec> {
    let mut network = Builder::default();
    let mut x = INPUT.to_owned();
    for (out, is_pooled) in [(32, true), (64, false), (64, true), (128, false)] {
        let normed = network.conv(&x, out, 3, 1);
        x = network.relu(&normed);
        if is_pooled {
            x = network.add(&[&x], Op::MaxPool(Window { kernel: 2, stride: 2, padding: 0 }));
        }
    }
    network.head(&x)
}
