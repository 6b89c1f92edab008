//! Holds any peer to the list: `ipfi-peers [--only TEXT] COMMAND [ARGUMENT...]`.

use std::process::ExitCode;

use ipfi_peers::{Peer, list};

fn main() -> ExitCode {
    let mut arguments: Vec<_> = std::env::args().skip(1).collect();
    let mut only = String::new();
    if arguments.first().is_some_and(|first| first == "--only") && arguments.len() > 1 {
        only = arguments.drain(..2).next_back().unwrap_or_default();
    }
    let Some((program, rest)) = arguments.split_first() else {
        eprintln!("usage: ipfi-peers [--only TEXT] COMMAND [ARGUMENT...]");
        return ExitCode::from(2);
    };
    let peer = rest.iter().fold(Peer::new(program), Peer::arg);
    let mut failed = 0;
    for check in list().iter().filter(|check| check.name().contains(&only)) {
        match check.run(&peer) {
            Ok(()) => println!("ok      {}", check.name()),
            Err(error) => {
                failed += 1;
                println!("FAILED  {}: {error:#}", check.name());
            }
        }
    }
    println!("{}", if failed == 0 { "all well".to_owned() } else { format!("{failed} failed") });
    ExitCode::from(u8::from(failed > 0))
}
