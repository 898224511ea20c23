//! Lets this crate's tests find the libtorch that layer-node was linked against.

fn main() {
    if let Ok(lib) = std::env::var("DEP_NEUROPIL_SHIM_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{lib}");
    }
}
