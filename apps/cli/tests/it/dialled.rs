//! `ipfi serve` and `ipfi gateway` at addresses that dial, and what they make of ends and failures.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::common::{Running, command, null_modem, run, until};

#[test]
fn a_server_lets_go_of_its_port_before_it_opens_it_again() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    let at = |path| format!("arq+serial:{path},baud=115200");
    let server = command(dir.path(), &["serve", "-v", &at(a), "--exec", "say=echo \"$@\""]);
    let mut server = Running::start_to_hear_both(server);
    for word in ["one", "two", "three"] {
        let said = run(dir.path(), &["call", &at(b.clone()), "-r", "say", word], None);
        assert_eq!((said.code, said.out.trim()), (0, word), "{}", said.err);
    }
    server.wait_for("has gone");
    server.signal("TERM");
    assert_eq!(server.finish().code(), Some(0));
    let rest = server.rest();
    assert!(!rest.iter().any(|line| line.contains("in use")), "{rest:?}");
}

#[test]
fn a_client_that_was_killed_on_a_plain_line_leaves_it_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (_socat, a, b) = null_modem(dir.path());
    let (a, b) = (format!("serial:{a},reliable"), format!("serial:{b},reliable"));
    let hang = "hang=echo begun; sleep 1000";
    let commands = ["serve", &a, "--exec", hang, "--exec", "say=echo \"$@\""];
    let mut server = Running::start_to_hear_both(command(dir.path(), &commands));
    server.wait_for("serving at ");
    for word in ["one", "two"] {
        let mut hanging = Running::start_to_hear_both(command(dir.path(), &["call", &b, "hang"]));
        hanging.wait_for("begun");
        drop(hanging); // It is killed.
        let said = run(dir.path(), &["call", &b, "-r", "say", word], None);
        assert_eq!((said.code, said.out.trim()), (0, word), "{}", said.err);
    }
}

#[test]
fn what_ends_without_a_word_is_dialled_with_growing_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (script, log) = (dir.path().join("script"), dir.path().join("log"));
    fs::write(&script, format!("echo begun >>{}", log.display())).unwrap();
    let begun = Instant::now();
    let address = format!("exec:sh {}", script.display());
    let server = command(dir.path(), &["serve", &address, "--exec", "f=true"]);
    let _server = Running::start_to_hear_both(server);
    until(|| fs::read_to_string(&log).is_ok_and(|log| log.lines().count() >= 4));
    // 100, 200 and 400 ms, each up to a quarter shorter.
    assert!(begun.elapsed() >= Duration::from_millis(525), "{:?}", begun.elapsed());
}

#[test]
fn a_gateway_says_once_that_its_target_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix-listen:{}", dir.path().join("gateway").display());
    let gateway = command(dir.path(), &["gateway", "-v", &socket, "serial:/dev/ttyNONE,reliable"]);
    let mut gateway = Running::start_to_hear_both(gateway);
    let said = gateway.wait_for("; trying again");
    assert!(said.contains("there is no device `/dev/ttyNONE`"), "{said}");
    gateway.wait_for("there is no device"); // the second try, as a detail
    gateway.signal("TERM");
    assert_eq!(gateway.finish().code(), Some(0));
    let rest = gateway.rest();
    assert!(!rest.iter().any(|line| line.contains("trying again")), "{rest:?}");
}
