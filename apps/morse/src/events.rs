//! What a decoder found, as text or as JSON.

use clap::ValueEnum;
use ipfi_morse::alphabet;
use ipfi_morse::decoder::{Character, Event};
use serde_json::json;

/// How codes are read that differ from language to language.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Accents {
    Danish,
    Esperanto,
    French,
    #[default]
    German,
    Polish,
    Spanish,
}

impl Accents {
    /// What a character is in this language.
    pub(crate) fn text(self, character: &Character) -> String {
        let accents = match self {
            Self::Danish => alphabet::Accents::Danish,
            Self::Esperanto => alphabet::Accents::Esperanto,
            Self::French => alphabet::Accents::French,
            Self::German => alphabet::Accents::German,
            Self::Polish => alphabet::Accents::Polish,
            Self::Spanish => alphabet::Accents::Spanish,
        };
        accents.symbol(character.code).unwrap_or(character.symbol).to_string()
    }

    /// One JSON object, without a line end. Times are in seconds from the first sample.
    pub(crate) fn json(self, event: &Event) -> String {
        // More digits than the ear has would say nothing.
        let round = |value: f64, digits: i32| {
            let scale = 10f64.powi(digits);
            (value * scale).round() / scale
        };
        let value = match event {
            Event::Character(c) => json!({
                "type": "character",
                "text": self.text(c),
                "code": c.code.to_string(),
                "start": round(c.start, 3),
                "end": round(c.end, 3),
                "confidence": round(f64::from(c.confidence), 3),
                "wpm": round(c.wpm, 1),
                "tone_hz": round(c.tone_hz, 1),
                "snr_db": round(c.snr_db, 1),
            }),
            Event::WordGap { start, end } => {
                json!({ "type": "space", "start": round(*start, 3), "end": round(*end, 3) })
            }
            _ => json!({ "type": "unknown" }),
        };
        value.to_string()
    }
}
