//! Text to send, dots and dashes, and what is said of the air: any text is read or refused.

#![no_main]

use ipfi_morse::alphabet::Code;
use ipfi_morse::channel::{Air, Channel};
use ipfi_morse::text;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let lossy = text::parse_lossy(input);
    if let Ok(tokens) = text::parse(input) {
        assert_eq!(tokens, lossy);
    }
    if let Ok(code) = input.parse::<Code>() {
        assert_eq!(code.to_string().parse(), Ok(code));
    }
    if let Ok(air) = input.parse::<Air>()
        && air.room.is_none_or(|room| room.rt60 < 0.5)
        && let Ok(mut channel) = Channel::new(&air, 8000, 1)
    {
        let mut heard = Vec::new();
        channel.process(&[0.5; 64], &mut heard);
        channel.finish(&mut heard);
        assert!(heard.len() < 200);
    }
});
