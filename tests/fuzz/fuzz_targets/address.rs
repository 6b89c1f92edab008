//! Whatever parses as an address is written in a canonical form that parses to the same.
#![no_main]

use ipfi_transport::Address;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(address) = text.parse::<Address>() else { return };
    let canonical = address.to_string();
    // Escapes take three bytes for one: the canonical form may be longer than what is read.
    match canonical.parse::<Address>() {
        Ok(again) => {
            assert_eq!(again, address);
            assert_eq!(again.to_string(), canonical);
        }
        Err(error) => assert!(canonical.len() > 8192, "{error}: {canonical}"),
    }
});
