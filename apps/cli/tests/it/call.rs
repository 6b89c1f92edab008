//! What `ipfi call` prints, and what it does at the far side.

use std::fmt::Write as _;

use crate::{
    common::{Running, command, run, run_with_bytes, until},
    service,
};

#[test]
fn output_is_as_reviewed() {
    let dir = tempfile::tempdir().unwrap();
    let address = service::tcp();
    let cases: &[(&[&str], &str)] = &[
        (&["add", "40", "2"], ""),
        (&["add", "-40", "-2"], ""),
        (&["large", "18446744073709551615"], ""),
        (&["echo", "aGVsbG8="], ""),
        (&["echo", "[104, 105]"], ""),
        (&["greet", "Ada Lovelace"], ""),
        (&["greet", "\"Ada\\n\""], ""),
        (&["greet", "Ada", "--raw"], ""),
        (&["area", "Nothing"], ""),
        (&["area", "\"Nothing\""], ""),
        (&["area", r#"{"Circle": {"center": {"x": 0, "y": 0}, "radius": 2}}"#], ""),
        (&["area", r#"{"Polygon": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}"#], ""),
        (&["lookup", r#"{"a": 1, "b": null}"#], ""),
        (&["add", "--args", "-"], "[1, 2]"),
        (&["count", "3"], ""),
        (&["count", "3", "@out"], ""),
        (&["numbers", "3"], ""),
        (&["sum"], ""),
        (&["sum", "--stream"], "1\n2\n\n18446744073709551612\n"),
        (&["shout", "--stream"], "plain\n\"quoted\"\n"),
        (&["shout", "--stream", "-r"], "plain\n\"quoted\"\n"),
        (&["progress"], ""),
        (&["twice", "@print=9"], ""),
        (&["add", "1", "2", "--signature", "(i64, i64) -> i64", "--priority", "high"], ""),
    ];
    let mut text = String::new();
    for (words, input) in cases {
        let arguments = [&["call", &address], *words].concat();
        let done = run(dir.path(), &arguments, Some(input));
        let _ = writeln!(text, "$ ipfi call ADDRESS {}", words.join(" "));
        text += &done.out;
        for line in done.err.lines() {
            let _ = writeln!(text, "(stderr) {line}");
        }
        assert_eq!(done.code, 0, "{words:?}: {}", done.err);
    }
    let list = run(dir.path(), &["list", &address], None);
    let _ = write!(text, "$ ipfi list ADDRESS\n{}", list.out);
    let json = run(dir.path(), &["list", &address, "add", "--json"], None);
    let _ = write!(text, "$ ipfi list ADDRESS add --json\n{}", json.out);
    insta::assert_snapshot!(text);
}

#[test]
fn ctrl_c_cancels_at_the_far_side() {
    let dir = tempfile::tempdir().unwrap();
    let address = service::tcp();
    for signal in ["INT", "TERM"] {
        let before = service::waiting();
        let mut call =
            Running::start_to_hear_both(command(dir.path(), &["call", &address, "wait"]));
        call.wait_for("\"begun\"");
        assert!(service::waiting() > before);
        call.signal(signal);
        until(|| service::waiting() == before);
        assert_eq!(call.finish().code(), Some(130));
    }
    // So does a deadline, and the death of the program.
    let done = run(dir.path(), &["call", &address, "wait", "--deadline", "50ms"], None);
    assert_eq!((done.code, done.out.as_str()), (7, "\"begun\"\n"));
    until(|| service::waiting() == 0);
    let mut call = Running::start_to_hear_both(command(dir.path(), &["call", &address, "wait"]));
    call.wait_for("\"begun\"");
    drop(call);
    until(|| service::waiting() == 0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let address = service::tcp();
    let mut call = command(dir.path(), &["call", &address, "count", "1000000"]);
    let mut call = call
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(call.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    drop(out);
    let done = call.wait_with_output().unwrap();
    assert_eq!((first.as_str(), done.status.code(), &done.stderr[..]), ("0\n", Some(0), &b""[..]));
}

#[test]
fn a_changed_signature_is_asked_for_anew() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("sock").display().to_string();
    let listen = |interface| {
        let _ = std::fs::remove_file(&socket);
        let options = ipfi::WireOptions::new().codec_of_peer();
        service::listen(interface, options, &format!("unix-listen:{socket}"));
    };
    let address = format!("unix:{socket}");
    let call = |word: &str| run(dir.path(), &["call", &address, "f", word], None);
    listen(ipfi::Interface::new().procedure("f", |n: u8| n));
    assert_eq!(call("7").out, "7\n");
    listen(ipfi::Interface::new().procedure("f", |text: String| text));
    assert_eq!(call("7").out, "\"7\"\n");
    listen(ipfi::Interface::new().procedure("g", |n: u8| n));
    let gone = call("7");
    assert_eq!(gone.code, 5);
    assert!(gone.err.contains("there is no procedure `f`, did you mean `g`?"), "{}", gone.err);
    // One that does not tell takes JSON as it is, or a signature.
    listen(ipfi::Interface::new().procedure("f", |n: u8, b: ipfi::Bytes| (n, b)).private());
    let json = run(dir.path(), &["call", &address, "f", "7", "[1]"], None);
    assert_eq!(json.out, "[7,\"AQ==\"]\n", "{}", json.err);
    let signature = ["--signature", "(u8, Bytes) -> (u8, Bytes)"];
    let told = [&["call", &address, "f", "7", "AQ=="][..], &signature].concat();
    assert_eq!(run(dir.path(), &told, None).out, "[7,\"AQ==\"]\n");
}

#[test]
fn lines_of_input_are_text() {
    let dir = tempfile::tempdir().unwrap();
    let address = service::tcp();
    let sum = ["call", &address, "sum", "--stream"];
    let done = run_with_bytes(dir.path(), &sum, Some(b"1\n\xff\n"));
    let wrong = "ipfi: line 2 of standard input: not UTF-8\n";
    assert_eq!((done.code, done.err.as_str()), (2, wrong));
    assert_eq!(run(dir.path(), &sum, Some("1\r\n2\r\n39")).out, "42\n");
    // Raw text is what it is.
    let shout = ["call", &address, "shout", "--stream", "-r"];
    assert_eq!(run(dir.path(), &shout, Some("a\r\n\nb")).out, "A\r\n\nB\n");
    let quoted = ["call", &address, "shout", "--stream"];
    assert_eq!(run(dir.path(), &quoted, Some("a\r\n\nb")).out, "\"A\"\n\"B\"\n");
}
