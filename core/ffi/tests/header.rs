//! `include/ipfi.h` is what the functions are. `IPFI_UPDATE=1 cargo test -p ipfi-ffi --test header` writes it anew.
#![cfg(feature = "exports")]

use std::{fs, path::Path};

#[test]
fn the_header_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config =
        cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("its configuration");
    let sources =
        ["exports.rs", "port.rs", "port/commands.rs", "port/events.rs", "status.rs", "things.rs"];
    let builder =
        sources.iter().fold(cbindgen::Builder::new().with_config(config), |builder, name| {
            builder.with_src(root.join("src").join(name))
        });
    let mut made = Vec::new();
    builder.generate().expect("the sources can be read").write(&mut made);
    let made = String::from_utf8(made).expect("text");
    let path = root.join("include/ipfi.h");
    if std::env::var_os("IPFI_UPDATE").is_some() {
        fs::write(&path, &made).expect("the header can be written");
    }
    let there = fs::read_to_string(&path).expect("the header can be read");
    assert!(
        there == made,
        "include/ipfi.h is not up to date: set IPFI_UPDATE=1 and run this again"
    );
}
