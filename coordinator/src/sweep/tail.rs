//! The tail of a trial's `metrics.jsonl`: reads the trial's steps while the trial writes them.

use crate::record::{Step, lines};
use indexmap::IndexMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The steps of a trial that have been read.
pub struct Tail {
    path: PathBuf,
    /// The file's identity, which changes when a resumed run replaces the file, and the number of bytes read.
    place: (u64, u64),
    losses: Vec<f64>,
    angles: Vec<(usize, IndexMap<String, Option<f64>>)>,
}

impl Tail {
    /// A reader of the file at `path`, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path, place: (0, 0), losses: Vec::new(), angles: Vec::new() }
    }

    /// Reads the new lines.
    pub fn read_on(&mut self) {
        // A line that cannot be read now is read the next time; after the trial has ended no more lines come.
        let _ = self.try_read_on();
    }

    fn try_read_on(&mut self) -> std::io::Result<()> {
        let mut file = File::open(&self.path)?;
        let found = file.metadata()?;
        if found.ino() != self.place.0 || found.len() < self.place.1 {
            *self = Self::new(std::mem::take(&mut self.path));
            self.place.0 = found.ino();
        }
        let mut new = Vec::new();
        file.seek(SeekFrom::Start(self.place.1))?;
        file.read_to_end(&mut new)?;
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.place.1 += whole as u64;
        lines::records(&new[..whole]).for_each(|step| self.take(step));
        Ok(())
    }

    fn take(&mut self, Step { step, loss, layers, .. }: Step) {
        let (Some(loss), true) = (loss, step == self.losses.len() as u64 + 1) else { return };
        self.losses.push(loss);
        let angles = layers.into_iter().map(|layer| (layer.name, layer.angle_deg));
        self.angles.push((self.losses.len(), angles.collect()));
    }

    /// The loss of each step.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// The angle of each layer at its last measurement up to `step`, the layer nearest the input first; `None` if that
    /// measurement found none.
    pub fn angles(&self, step: usize) -> IndexMap<String, Option<f64>> {
        let measured = self.angles.iter().take_while(|(when, _)| *when <= step);
        measured.flat_map(|(_, angles)| angles.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn line(step: usize, angle: Option<&str>) -> String {
        let layer = |angle| format!("{{\"name\":\"fc1\",\"angle_deg\":{angle}}}");
        format!("{{\"step\":{step},\"loss\":{step}.5,\"layers\":[{}]}}\n", angle.map_or(String::new(), layer))
    }

    #[test]
    fn it_reads_on_where_it_was_and_anew_where_the_file_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut tail = Tail::new(path.clone());
        tail.read_on();
        let (one, two) = (line(1, Some("90.0")), line(2, Some("null")));
        fs::write(&path, format!("{one}{}", &two[..9])).unwrap();
        tail.read_on();
        assert_eq!(tail.losses(), [1.5]);
        fs::write(&path, format!("{one}{two}{}", line(3, Some("80.0")))).unwrap();
        tail.read_on();
        assert_eq!(tail.losses(), [1.5, 2.5, 3.5]);
        let angle = |step| tail.angles(step)["fc1"];
        assert_eq!([1, 2, 3].map(angle), [Some(90.0), None, Some(80.0)], "no angle is older than it looks");

        let other = folder.path().join("other");
        fs::write(&other, format!("{}{}{}{}", line(1, None), two, line(3, None), line(4, None))).unwrap();
        fs::rename(&other, &path).unwrap();
        tail.read_on();
        assert_eq!(tail.losses().len(), 4);
        assert_eq!(tail.angles(4)["fc1"], None);
    }
}
