//! Whatever a plug-in says of itself is refused or means what it is written back as.
#![no_main]

use ipfi_plugin::{MAX_MANIFEST, Manifest, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reply) = text.parse::<Reply>() {
        assert_eq!(reply.to_string().parse(), Ok(reply));
    }
    // So that the fuzzer need not guess the first line.
    for text in [text.to_owned(), format!("ipfi-transport 1\n{text}")] {
        let Ok(manifest) = text.parse::<Manifest>() else { continue };
        let lines = manifest.examples.iter().chain([&manifest.summary]);
        assert!(lines.flat_map(|line| line.chars()).all(|c| !c.is_control()));
        let written = manifest.to_string();
        // Escapes take three bytes for one: what is written may be longer than what is read.
        if written.len() <= MAX_MANIFEST && written.lines().all(|line| line.len() <= 4096) {
            assert_eq!(written.parse(), Ok(manifest));
        }
    }
});
