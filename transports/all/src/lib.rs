//! Every transport and layer of IPFI in one registry, a cargo feature for each.
//!
//! ```
//! let registry = ipfi_transports::default_registry();
//! assert!(registry.describe().any(|transport| transport.name == "tcp"));
//! ```

use ipfi_transport::{Memory, Noise, Registry, Trace};

/// Every transport and layer that this build has.
#[must_use]
pub fn default_registry() -> Registry {
    let registry =
        Registry::new().with(Memory::new()).with_layer(Noise::new()).with_layer(Trace::new());
    #[cfg(feature = "arq")]
    let registry = registry.with_layer(ipfi_arq::Arq::new());
    #[cfg(all(feature = "morse", unix))]
    let registry = registry.with(ipfi_morse::transport::Morse::new());
    #[cfg(all(feature = "pipe", unix))]
    let registry = registry
        .with(ipfi_pipe::Exec::new())
        .with(ipfi_pipe::File::new())
        .with(ipfi_pipe::Pipe::new())
        .with(ipfi_pipe::Pty::new())
        .with(ipfi_pipe::Stdio::new())
        .with(ipfi_pipe::Unix::new());
    #[cfg(all(feature = "plugin", unix))]
    let registry = registry.with_resolver(ipfi_plugin::Plugins::new());
    #[cfg(all(feature = "serial", unix))]
    let registry = registry.with(ipfi_serial::Serial::new());
    #[cfg(feature = "tcp")]
    let registry = registry.with(ipfi_tcp::Tcp::new());
    #[cfg(feature = "udp")]
    let registry = registry.with(ipfi_udp::Udp::new());
    registry
}
