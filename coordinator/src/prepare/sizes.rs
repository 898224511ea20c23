//! The sizes of a run that are known before it reads its data: the sizes of its network and of its data set.

use super::Prepared;
use crate::config::Config;
use crate::model::Network;
use crate::run_error::RunError;

/// Photographs in a split of unknown size: ImageNet's 21,000 classes have 14 million.
const MOST_PHOTOGRAPHS: u64 = 1 << 24;
/// Bytes of a photograph's name, size, time and label; its pixels stay in its file.
const INDEXED: u64 = 128;

/// The network, and the bytes of the data set in memory if they are known. The data is opened only if the network
/// depends on it.
///
/// # Errors
/// A configuration without a network, or data that cannot be read.
pub fn network(config: &Config) -> Result<(Network, Option<u64>), RunError> {
    let Some(shape) = config.input_shape() else {
        let Prepared { network, facts, test_samples, .. } = Prepared::new(config.clone())?;
        let samples = [facts.samples as u64, test_samples as u64];
        let size = network.input.shape.iter().product();
        return Ok((network, Some(bytes(samples, size))));
    };
    let network = config.network(shape).map_err(RunError::configuration)?;
    let of_kind = config.data.kind.samples().unwrap_or([u64::MAX; 2]);
    let limits =
        [config.data.limit, config.data.test_limit].map(|limit| limit.map_or(u64::MAX, |n| n as u64));
    let samples = [of_kind[0].min(limits[0]), of_kind[1].min(limits[1])];
    if config.data.kind.is_photographs() {
        return Ok((
            network,
            Some(samples.map(|count| count.min(MOST_PHOTOGRAPHS)).iter().sum::<u64>() * INDEXED),
        ));
    }
    let known = !samples.contains(&u64::MAX);
    Ok((network, known.then(|| bytes(samples, shape.iter().product()))))
}

/// The bytes of a data set in memory: one per pixel and channel, and few others.
fn bytes(samples: [u64; 2], size: u64) -> u64 {
    const BESIDE_PIXELS: u64 = 16;
    samples.iter().sum::<u64>().saturating_mul(size + BESIDE_PIXELS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment};

    #[test]
    fn the_coordinators_data_is_known_by_its_kind_or_by_limits_and_is_opened_only_for_its_shape() {
        let of = |text: &str| {
            let config = config::parse(text, "run.toml", &[], &Environment::empty()).unwrap();
            network(&config).map(|(_, data)| data)
        };
        assert_eq!(of("model.name = \"mlp\"").unwrap(), Some(70_000 * (784 + 16)));
        let limited = "model.name = \"mlp\"\ndata.limit = 100\ndata.test_limit = 20";
        assert_eq!(of(limited).unwrap(), Some(120 * (784 + 16)));
        let photos = "model.name = \"resnet18\"\nmodel.classes = 1000\ndata.kind = \"image_folder\"";
        assert_eq!(of(photos).unwrap(), Some((2 << 24) * 128), "pixels stay in files");
        let limited = format!("{photos}\ndata.limit = 100\ndata.test_limit = 20");
        assert_eq!(of(&limited).unwrap(), Some(120 * 128));
        let idx =
            "model.name = \"mlp\"\nmodel.classes = 7\ndata.kind = \"idx\"\ndata.path = \"/no/such/folder\"";
        assert_eq!(of(idx).unwrap_err().cause.code(), 3, "the data's shape is that of the network's input");
        assert_eq!(of(&format!("{idx}\nmodel.image = 8\nmodel.channels = 1")).unwrap(), None);
    }
}
