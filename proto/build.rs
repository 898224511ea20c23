//! Compiles the schema with protox, so that no protoc is needed.

use prost::Message;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=schema");
    let files = ["failure", "layer", "node", "shared_memory"].map(|file| format!("neuropil/v1/{file}.proto"));
    let descriptors = protox::compile(files, ["schema"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // A layer without a rule takes two bytes on the wire, and should not take 200 more for a rule in memory.
    let rule = ".neuropil.v1.LayerSpec.rule";
    let codec = "crate::transport::codec::Canonical";
    tonic_prost_build::configure().bytes(".").boxed(rule).codec_path(codec).compile_fds(descriptors)?;
    Ok(())
}
