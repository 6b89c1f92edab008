//! Help that cannot lie: from the same lists that parse addresses.

use std::{fmt::Write as _, io::Write as _};

use clap::CommandFactory;
use ipfi_transport::{Description, Registry, reason};

use crate::{cli::Cli, exit::BridgeError};

/// Columns of a terminal, less two.
const WIDTH: usize = 78;

/// Every transport in a line, or one in full.
pub(crate) fn transports(registry: &Registry, name: Option<&str>) -> anyhow::Result<()> {
    let text = match name {
        None => overview(registry.describe()),
        Some(name) => match registry.describe().find(|d| d.name == name) {
            Some(description) => in_full(&description),
            None => {
                let known: Vec<_> = registry.describe().map(|d| d.name).collect();
                let known = known.join(", ");
                Err(BridgeError::Config(format!(
                    "there is no transport `{name}`; there is {known}"
                )))?
            }
        },
    };
    print(&text)
}

fn overview(descriptions: impl Iterator<Item = Description>) -> String {
    let mut text = String::new();
    for description in descriptions {
        let form = match (description.layer, description.listens) {
            (true, _) => format!("{}+", description.name),
            (false, true) => format!("{}[-listen]:", description.name),
            (false, false) => format!("{}:", description.name),
        };
        let _ = writeln!(text, "{form:<18} {}", description.summary);
    }
    text.push_str("\n`ipfi-bridge transports NAME` shows the options of one.\n");
    text
}

fn in_full(description: &Description) -> String {
    let mut text = String::new();
    let Description { name, summary, .. } = description;
    let kind = if description.layer { "a layer" } else { "a transport" };
    let _ = writeln!(text, "{name}: {summary}\n");
    let mut facts = vec![kind];
    if !description.layer {
        facts.push(if description.listens { "listens" } else { "cannot listen" });
        facts.push(if description.reliable { "reliable" } else { "not reliable" });
    }
    let _ = writeln!(text, "It is {}.", facts.join(", "));
    if !description.examples.is_empty() {
        text.push_str("\nExamples:\n");
        for example in &description.examples {
            let _ = writeln!(text, "  {example}");
        }
    }
    if !description.options.is_empty() {
        text.push_str("\nOptions:\n");
        for option in &description.options {
            let _ = writeln!(text, "  {}={}", option.key, option.value);
            let default = format!("[default: {}]", option.default);
            let default = (!option.default.is_empty()).then_some(default.as_str());
            wrap(&mut text, "      ", option.help.split_whitespace().chain(default));
        }
    }
    text
}

/// Adds words in lines of [`WIDTH`].
fn wrap<'a>(to: &mut String, indent: &str, words: impl Iterator<Item = &'a str>) {
    let mut column = 0;
    for word in words {
        let width = word.chars().count();
        if column > 0 && column + 1 + width <= WIDTH {
            to.push(' ');
            column += 1 + width;
        } else {
            if column > 0 {
                to.push('\n');
            }
            to.push_str(indent);
            column = indent.len() + width;
        }
        to.push_str(word);
    }
    to.push('\n');
}

/// Every plug-in on PATH.
pub(crate) async fn plugins(registry: &Registry) -> anyhow::Result<()> {
    let mut text = String::new();
    for (place, description) in registry.found().await {
        let (name, summary) = match description {
            Ok(description) => (format!("{}:", description.name), description.summary),
            Err(error) => (place.about, format!("cannot be used: {}", reason(&error))),
        };
        let _ = writeln!(text, "{name:<12} {summary} ({})", place.location);
    }
    if text.is_empty() {
        text.push_str("no executable ipfi-transport-NAME is on PATH\n");
    }
    print(&text)
}

/// Every place that can be dialled, such as serial ports.
pub(crate) fn ports(registry: &Registry) -> anyhow::Result<()> {
    let mut text = String::new();
    for (transport, place) in registry.places() {
        let _ = writeln!(text, "{transport}:{}  {}", place.location, place.about);
    }
    if text.is_empty() {
        text.push_str("no serial port is there\n");
    }
    print(&text)
}

pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ipfi-bridge", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}

pub(crate) fn man(command: Option<&str>) -> anyhow::Result<()> {
    let page = ipfi_app::man(Cli::command(), command);
    let page = page.map_err(|none| BridgeError::Config(none.to_string()))?;
    Ok(std::io::stdout().write_all(&page)?)
}

pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
