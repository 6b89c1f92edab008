//! What fuzzing starts from, and what it has found, on every run of the tests.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use std::{fs, path::Path};

use ipfi_plugin::{Manifest, Reply};
use ipfi_transport::Address;

fn corpus(target: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    let files = fs::read_dir(root.join(target)).unwrap().map(|file| file.unwrap().path());
    let texts: Vec<_> = files.filter_map(|file| fs::read_to_string(file).ok()).collect();
    assert!(!texts.is_empty());
    texts
}

#[test]
fn descriptions_and_replies() {
    for text in corpus("plugin_describe") {
        if let Ok(reply) = text.parse::<Reply>() {
            assert_eq!(reply.to_string().parse(), Ok(reply));
        }
        if let Ok(manifest) = format!("ipfi-transport 1\n{text}").parse::<Manifest>() {
            assert_eq!(manifest.to_string().parse(), Ok(manifest));
        }
    }
}

#[test]
fn addresses() {
    for text in corpus("address") {
        let address: Address = text.parse().unwrap();
        assert_eq!(address.to_string().parse(), Ok(address));
    }
}
