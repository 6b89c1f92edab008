//! Writes what capnp needs, if its compiler is there (Debian: `capnproto`).

fn main() {
    println!("cargo::rerun-if-changed=src/peers/bench.capnp");
    #[cfg(feature = "peers")]
    {
        let mut command = capnpc::CompilerCommand::new();
        command.src_prefix("src/peers").file("src/peers/bench.capnp");
        match command.default_parent_module(vec!["peers".into(), "capnp".into()]).run() {
            Ok(()) => println!("cargo::rustc-cfg=has_capnp"),
            Err(_) => println!("cargo::warning=without capnp: install the package capnproto"),
        }
    }
}
