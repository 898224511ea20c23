//! Compiles the shim against the libtorch that torch-sys found, and lets the binaries find it again.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=shim");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let lib = PathBuf::from(std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys says where libtorch is"));
    let include = match std::env::var_os("LIBTORCH_INCLUDE") {
        Some(dir) => PathBuf::from(dir).join("include"),
        None => lib.join("../include"),
    };
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .warnings(false)
        .include(&include)
        .files(["shim/shim.cpp", "shim/adopt.cpp", "shim/streams.cpp", "shim/driver.cpp"])
        .compile("neuropil_shim");
    println!("cargo:rustc-link-lib=dylib=torch_cpu");
    println!("cargo:rustc-link-lib=dylib=c10");
    // The path is a RUNPATH, so that LD_LIBRARY_PATH still wins. An installed copy has bin/ beside lib/.
    println!("cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}", lib.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    // Link arguments do not reach dependent packages, so these packages read this path and print their own arguments.
    println!("cargo:libtorch_lib={}", lib.display());
}
