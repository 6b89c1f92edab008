//! Rust, C, WebAssembly and Python calling each other in a ring.

use std::{
    process::Stdio,
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result};
use ipfi::{Codec, Fault, Interface, Wire, WireOptions};
use tokio::process::{Child, Command};

/// The wires to the other languages, in the order of the ring.
type Ring = Arc<OnceLock<Vec<Wire>>>;

/// What language `index` calls: the next one, or Rust behind the last.
async fn pass(ring: Ring, index: usize, text: String) -> Result<String, Fault> {
    match ring.get().and_then(|wires| wires.get(index + 1)) {
        Some(next) => Ok(next.call_unchecked("pass", (text,)).await?),
        None => Ok(text + " -> Rust"),
    }
}

/// Starts a program; its wire is standard input and output.
fn start(command: &str, index: usize, ring: &Ring) -> Result<(Wire, Child)> {
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(stdout), Some(stdin)) = (child.stdout.take(), child.stdin.take()) else {
        anyhow::bail!("{command}: no standard input or output");
    };
    let ring = ring.clone();
    let interface =
        Interface::new().procedure("pass", move |text: String| pass(ring.clone(), index, text));
    let options = WireOptions::new().codec(Codec::MessagePack);
    Ok((options.spawn(tokio::io::join(stdout, stdin), interface), child))
}

/// Each argument is the command of a language.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let ring = Ring::default();
    let (mut wires, mut children) = (Vec::new(), Vec::new());
    for (index, command) in std::env::args().skip(1).enumerate() {
        let (wire, child) = start(&command, index, &ring)?;
        wires.push(wire);
        children.push((command, child));
    }
    let wires = ring.get_or_init(|| wires);
    let first = wires.first().context("usage: demo-polyglot COMMAND...")?;
    let around: String = first.call_unchecked("pass", ("Rust",)).await?;
    println!("{around}");
    for (wire, (command, mut child)) in wires.iter().zip(children) {
        wire.close(None).await;
        let status = child.wait().await?;
        anyhow::ensure!(status.success(), "{command}: {status}");
    }
    Ok(())
}
