//! Help, lists, completions.

use crate::common::run;

#[test]
fn help_is_as_reviewed() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    insta::assert_snapshot!(out);
}

#[test]
fn every_transport_is_listed_and_described() {
    let (code, overview, _) = run(&["transports"]);
    assert_eq!(code, 0);
    for name in ["tcp", "unix", "stdio", "pipe", "exec", "pty", "file", "serial", "trace", "noise"]
    {
        assert!(overview.contains(&format!("\n{name}")) || overview.starts_with(name), "{name}");
        let (code, out, _) = run(&["transports", name]);
        assert_eq!(code, 0);
        assert!(out.contains("Examples:"), "{name} has no example:\n{out}");
        let fits = |line: &str| line.chars().count() < 80;
        assert!(out.lines().all(fits), "a terminal breaks lines of {name}:\n{out}");
    }
    let (_, tcp, _) = run(&["transports", "tcp"]);
    insta::assert_snapshot!(tcp);
}

#[test]
fn lists_never_fail() {
    for list in ["ports", "plugins"] {
        let (code, out, err) = run(&[list]);
        assert_eq!(code, 0, "{list}: {err}");
        assert!(!out.is_empty(), "{list}");
    }
}

#[test]
fn completions_and_man_page() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(out.contains("ipfi-bridge"), "{shell}");
    }
    let (code, man, _) = run(&["man"]);
    assert_eq!(code, 0);
    assert!(man.contains(".TH") && man.contains("on\\-busy"), "{man}");
}

#[test]
fn check_opens_nothing() {
    let (code, out, _) = run(&["--check", "tcp-listen:127.0.0.1:1", "serial:/dev/none,baud=9600"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "ok: tcp-listen:127.0.0.1:1 serial:/dev/none,baud=9600\n")
    );
}
