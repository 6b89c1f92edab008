//! Commands as procedures: what becomes of their processes.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::common::{Running, command, listening, run, until};

fn serve(dir: &Path, commands: &[&str]) -> (Running, String) {
    let mut server = command(dir, &["serve", "tcp-listen:127.0.0.1:0"]);
    for command in commands {
        server.args(["--exec", command]);
    }
    let mut server = Running::start_to_hear_both(server);
    let address = listening(&mut server);
    (server, address)
}

/// Processes below another, zombies included.
fn children(of: u32) -> usize {
    let output = Command::new("ps").args(["--ppid", &of.to_string(), "-o", "pid="]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().lines().count()
}

/// Whether a process with this in its command line is there.
fn is_there(mark: &str) -> bool {
    let output = Command::new("pgrep").args(["-f", mark]).output().unwrap();
    !output.stdout.is_empty()
}

#[test]
fn a_cancelled_call_ends_the_process_group() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("86400.{}", std::process::id());
    // A pipeline, and one that does not want to go.
    let pipeline = format!("pipeline=echo begun; sleep {mark}1 | cat");
    let stubborn =
        format!("stubborn=trap '' TERM; echo begun; sleep {mark}2 & wait; sleep {mark}3");
    let (server, address) = serve(dir.path(), &[&pipeline, &stubborn]);
    for name in ["pipeline", "stubborn"] {
        let mut call = Running::start_to_hear_both(command(dir.path(), &["call", &address, name]));
        call.wait_for("\"begun\"");
        until(|| is_there(&format!("^sleep {mark}")));
        call.signal("INT");
        assert_eq!(call.finish().code(), Some(130));
        until(|| children(server.pid()) == 0 && !is_there(&format!("^sleep {mark}")));
    }
    // Also when the caller vanishes.
    let mut call =
        Running::start_to_hear_both(command(dir.path(), &["call", &address, "pipeline"]));
    call.wait_for("\"begun\"");
    drop(call);
    until(|| children(server.pid()) == 0 && !is_there(&format!("^sleep {mark}")));
}

#[test]
fn stopping_ends_what_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("86401.{}", std::process::id());
    let mut server = command(dir.path(), &["serve", "tcp-listen:127.0.0.1:0", "--drain=100ms"]);
    server.args(["--exec", &format!("long=echo begun; sleep {mark}")]);
    let mut server = Running::start_to_hear_both(server);
    let address = listening(&mut server);
    let mut call = Running::start_to_hear_both(command(dir.path(), &["call", &address, "long"]));
    call.wait_for("\"begun\"");
    server.signal("TERM");
    assert_eq!(server.finish().code(), Some(0));
    assert!(!is_there(&format!("^sleep {mark}")));
    assert_eq!(call.finish().code(), Some(4));
}

#[test]
fn a_second_signal_ends_what_runs_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("86403.{}", std::process::id());
    let (mut server, address) = serve(
        dir.path(),
        &[
            &format!("long=echo begun; sleep {mark}1"),
            &format!("stubborn=trap '' TERM; echo begun; sleep {mark}2 & wait; sleep {mark}3"),
        ],
    );
    let calls = ["long", "stubborn"].map(|name| {
        let mut call = Running::start_to_hear_both(command(dir.path(), &["call", &address, name]));
        call.wait_for("\"begun\"");
        call
    });
    until(|| is_there(&format!("^sleep {mark}1")) && is_there(&format!("^sleep {mark}2")));
    server.signal("TERM");
    server.wait_for("stopping");
    server.signal("TERM");
    assert_eq!(server.finish().code(), Some(130));
    until(|| !is_there(&format!("sleep {mark}")));
    for mut call in calls {
        assert_eq!(call.finish().code(), Some(4));
    }
}

#[test]
fn the_end_of_a_terminal_ends_what_runs_unless_it_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("86404.{}", std::process::id());
    for (begin, ends) in [("", true), ("trap '' HUP; ", false)] {
        let mut server = Command::new("sh");
        server.args(["-c", &format!("{begin}exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ipfi")]);
        server.args(["serve", "tcp-listen:127.0.0.1:0", "--drain=100ms", "--exec", "echo=echo $1"]);
        server.args(["--exec", &format!("long=echo begun; sleep {mark}")]).stdin(Stdio::null());
        let mut server = Running::start_to_hear_both(server);
        let address = listening(&mut server);
        let mut call =
            Running::start_to_hear_both(command(dir.path(), &["call", &address, "long"]));
        call.wait_for("\"begun\"");
        server.signal("HUP");
        if ends {
            assert_eq!(server.finish().code(), Some(0));
            assert!(!is_there(&format!("^sleep {mark}")));
        } else {
            assert_eq!(
                run(dir.path(), &["call", "-r", &address, "echo", "here"], None).out,
                "here\n"
            );
            assert!(is_there(&format!("^sleep {mark}")));
            server.signal("TERM");
            assert_eq!(server.finish().code(), Some(0));
        }
    }
}

#[test]
fn arguments_are_words_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (_server, address) = serve(
        dir.path(),
        &[
            "show=printf '<%s>' \"$@\"; echo",
            "none=echo \"$#\"",
            "cat=cat",
            "kill=kill -9 $$",
            "exit=echo the end >&2; exit \"$1\"",
        ],
    );
    let call = |words: &[&str], input| {
        run(dir.path(), &[&["call", &address, "-r"], words].concat(), input)
    };
    let nasty = ["$(id)", "; rm -rf /", "a b", "'\"", "*", "--help", "é\n2"];
    let done = call(&[&["show", "--"][..], &nasty].concat(), None);
    assert_eq!(done.out, "<$(id)><; rm -rf /><a b><'\"><*><--help><é\n2>\n");
    assert_eq!(call(&["none"], None).out, "0\n");
    assert_eq!(call(&["none", "[\"a\", \"b\"]"], None).out, "2\n");
    // Standard input is empty without --stream.
    assert_eq!(call(&["cat"], Some("x")).out, "");
    // Long lines come in pieces, which are whole characters.
    let long = format!("a{}", "ß".repeat(100_000));
    let back = call(&["cat", "--stream"], Some(&long)).out;
    assert_eq!(back.lines().count(), 4);
    assert_eq!(back.replace('\n', ""), long);
    let killed = call(&["kill"], None);
    assert_eq!(killed.code, 6);
    assert_eq!(killed.err, "ipfi: `kill`: code 393: ended by signal 9\n");
    for (status, code) in [("1", 257), ("128", 384), ("137", 393), ("255", 511)] {
        let failed = call(&["exit", status], None);
        assert_eq!(failed.code, 6);
        let text = format!("ipfi: `exit`: code {code}: exit status {status}: the end\n");
        assert_eq!(failed.err, text);
    }
}

#[test]
fn too_many_at_once_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = command(dir.path(), &["serve", "tcp-listen:127.0.0.1:0", "--max-running=1"]);
    server.arg("--drain=0s");
    server.args(["--exec", "long=echo begun; exec sleep 86402"]);
    let mut server = Running::start_to_hear_both(server);
    let address = listening(&mut server);
    let mut call = Running::start_to_hear_both(command(dir.path(), &["call", &address, "long"]));
    call.wait_for("\"begun\"");
    let refused = run(dir.path(), &["call", &address, "long"], None);
    assert_eq!(refused.code, 5);
    let text = "ipfi: `long`: refused: too many calls at once: 1 may run and 0 wait\n";
    assert_eq!(refused.err, text);
    // What there is can still be asked.
    assert_eq!(run(dir.path(), &["list", &address, "long"], None).code, 0);
    server.signal("TERM");
    assert_eq!(server.finish().code(), Some(0));
}
