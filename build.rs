//! Tells the linker where libtorch lies, so that `cargo run`, `cargo test` and a binary started by hand
//! all find it without `LD_LIBRARY_PATH`.
fn main() {
    // torch-sys passes this on through `links = "tch"`.
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    }
    println!("cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/lib");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=migrations"); // they are compiled in
}
