//! `ipfi-bridge` with one transport more: `sock:`.
fn main() -> std::process::ExitCode {
    let registry = ipfi_transports::default_registry().with(demo_custom_transport::Sock);
    ipfi_bridge::main(&registry)
}
