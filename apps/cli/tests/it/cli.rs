//! Help, completions, the man page.

use std::process::{Command, Stdio};

use crate::{common::run, service};

fn ok(arguments: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let done = run(dir.path(), arguments, None);
    assert_eq!(done.code, 0, "{arguments:?}: {}", done.err);
    done.out
}

#[test]
fn help_is_as_reviewed() {
    insta::assert_snapshot!(ok(&["--help"]));
}

#[test]
fn help_of_call_is_as_reviewed() {
    insta::assert_snapshot!(ok(&["call", "--help"]));
}

#[test]
fn completions_and_man_page() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(ok(&["completions", shell]).contains("ipfi"), "{shell}");
    }
    let man = ok(&["man"]);
    assert!(man.contains(".TH") && man.contains("EXIT STATUS"), "{man}");
    for command in ["list", "call", "ping", "bench", "serve", "gateway"] {
        let man = ok(&["man", command]);
        assert!(man.contains(&format!(".TH ipfi-{command}")) && man.len() > 500, "{man}");
    }
}

#[test]
fn what_cannot_be_printed_is_an_error() {
    for words in [&["--help"][..], &["--version"], &["call", "--help"], &["man"]] {
        let mut ipfi = Command::new(env!("CARGO_BIN_EXE_ipfi"));
        ipfi.args(words).stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
        let done = ipfi.output().unwrap();
        let why = "ipfi: standard output: no space left on device\n";
        assert_eq!(String::from_utf8(done.stderr).unwrap(), why, "{words:?}");
        assert_eq!(done.status.code(), Some(1), "{words:?}");
    }
}

#[test]
fn colour_and_progress_are_for_terminals() {
    let dir = tempfile::tempdir().unwrap();
    let address = service::tcp();
    let ipfi = env!("CARGO_BIN_EXE_ipfi");
    // What it says on a terminal that socat makes, which drops the end of what a child says that fails.
    let on_a_terminal = |words: &str, no_color: &str| {
        let mut socat = Command::new("socat");
        socat.args(["-t", "10", "-", &format!("SYSTEM:{ipfi} {words} || true,pty,stderr,setsid")]);
        socat.env("XDG_CACHE_HOME", dir.path()).env("TERM", "xterm").env("NO_COLOR", no_color);
        let output = socat.stdin(Stdio::null()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let list = on_a_terminal(&format!("list {}", address.replace(':', "\\:")), "");
    assert!(list.contains("\u{1b}[1madd\u{1b}[0m(i64, i64) -> i64"), "{list:?}");
    let plain = on_a_terminal(&format!("list {}", address.replace(':', "\\:")), "1");
    assert!(plain.contains("\r\nadd(i64") || plain.starts_with("add(i64"), "{plain:?}");
    let wait = format!("call {} wait --deadline 1500ms", address.replace(':', "\\:"));
    let waiting = on_a_terminal(&wait, "1");
    assert!(waiting.contains("\r\u{1b}[Kwaiting for 1 s"), "{waiting:?}");
    let before = format!("call unix-listen\\:{}/s add --deadline 1500ms", dir.path().display());
    let before = on_a_terminal(&before, "1");
    let late =
        "\r\u{1b}[Kwaiting for somebody for 1 s\r\u{1b}[Kipfi: `add`: the deadline passed\r\n";
    assert_eq!(before, late);
    // It is not where somebody types, or is asked for a password.
    let asked = "call exec\\:sleep%2050\\,terminal f --deadline 1500ms";
    assert_eq!(on_a_terminal(asked, "1"), "ipfi: `f`: the deadline passed\r\n");
    let typed = format!("call {} sum --stream --deadline 1500ms", address.replace(':', "\\:"));
    assert_eq!(on_a_terminal(&typed, "1"), "ipfi: `sum`: the deadline passed\r\n");
    // And elsewhere.
    let done = run(dir.path(), &["call", &address, "wait", "--deadline", "1500ms"], None);
    assert_eq!(
        (done.out.as_str(), done.err.as_str()),
        ("\"begun\"\n", "ipfi: `wait`: the deadline passed\n")
    );
    assert!(!run(dir.path(), &["list", &address], None).out.contains('\u{1b}'));
}
