//! What goes wrong is said in one line that names the thing and the way out.

use std::{fmt::Write as _, net::TcpListener};

use ipfi::{Codec, Interface, WireOptions};

use crate::{common::run, service};

#[test]
fn one_clear_line_each() {
    let dir = tempfile::tempdir().unwrap();
    let a = service::tcp();
    let follow = WireOptions::new().codec_of_peer();
    let path = |name: &str| dir.path().join(name).display().to_string();
    // Others: one that speaks bincode only, one that says nothing, one that speaks something else.
    let bincode = Interface::new().procedure("add", |a: i64, b: i64| a + b);
    let only = WireOptions::new().codec(Codec::Bincode);
    let bincode = format!("tcp:{}", service::listen(bincode, only, "tcp-listen:127.0.0.1:0"));
    let private = service::interface().private();
    let private =
        format!("tcp:{}", service::listen(private, follow.clone(), "tcp-listen:127.0.0.1:0"));
    let full =
        Interface::new().max_running(0).max_waiting(0).procedure("add", |a: i64, b: i64| a + b);
    let full = format!("tcp:{}", service::listen(full, follow, "tcp-listen:127.0.0.1:0"));
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("tcp:{}", mute.local_addr().unwrap());
    std::fs::write(path("bad.json"), "{\"a\": 1}").unwrap();
    let (bad, none) = (path("bad.json"), path("none.json"));
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["call", "nonsense", "add"], None),
        (&["call", "tpc:localhost:1", "add"], None),
        (&["call", "serial:/dev/ttyX,baud=9600", "add"], None),
        (&["call", "tcp:127.0.0.1:1", "add"], None),
        (&["call", "stdio:", "add"], None),
        (&["ping", "arq+stdio:"], None),
        (&["call", &mute, "add", "--patience=50ms"], None),
        (&["call", "exec:echo hello", "add"], None),
        (&["call", "exec:true", "add"], None),
        (&["call", "exec:cat", "add"], None),
        (&["call", "exec:cat", "add", "--signature=()"], None),
        (&["list", "exec:cat"], None),
        (&["call", &bincode, "add", "1", "2"], None),
        (&["call", &full, "add", "1", "2"], None),
        (&["list", &private], None),
        (&["list", &a, "ad"], None),
        (&["call", &private, "ad"], None),
        (&["call", &a, "ad"], None),
        (&["call", &a, "subtract"], None),
        (&["call", &a, "add", "1"], None),
        (&["call", &a, "add", "1", "2", "3"], None),
        (&["call", &a, "add", "1", "two"], None),
        (&["call", &a, "add", "1", "2.5"], None),
        (&["call", &a, "large", "18446744073709551616"], None),
        (&["call", &private, "large", "18446744073709551616"], None),
        (&["call", &private, "large", "--args", "-"], Some("[[18446744073709551616]]")),
        (&["call", &a, "add", "1", "{"], None),
        (&["call", &a, "area", r#"{"Polygon": [{"x": 1, "y": 2}, {"x": 1, "y": "up"}]}"#], None),
        (&["call", &a, "area", "Square"], None),
        (&["call", &a, "twice"], None),
        (&["call", &a, "add", "--args", &none], None),
        (&["call", &a, "add", "--args", &bad], None),
        (&["call", &a, "add", "--args", "-", "--stream"], None),
        (&["call", &a, "add", "1", "2", "--stream"], None),
        (&["call", &a, "sum", "--stream"], Some("1\n2\nthree\n")),
        (&["call", &a, "add", "1", "2", "--signature", "(i64, i6 4)"], None),
        (&["call", &a, "add", "1", "2", "--signature", "(i64, String)"], None),
        (&["call", &a, "divide", "1", "0"], None),
        (&["call", &a, "panic", "no\u{1b}[2J paper"], None),
        (&["call", &a, "broken"], None),
        (&["call", &a, "wait", "--deadline", "50ms"], None),
        (&["bench", &a, "count", "1"], None),
        (&["bench", &a, "divide", "1", "0", "-n1"], None),
        (&["gateway", "unix:/x", "unix:/y"], None),
        (&["gateway", "tcp-listen:127.0.0.1:0", "serial:/dev/ttyX"], None),
        (&["gateway", "tcp-listen:127.0.0.1:0", "unix:"], None),
        (&["serve", "serial:/dev/ttyX", "--exec", "a=b"], None),
        (&["serve", "tcp-listen:127.0.0.1:0", "--exec", "a=b", "--doc", "c=d"], None),
        (&["serve", "tcp-listen:127.0.0.1:0", "--exec", "a=b", "--exec", "a=c"], None),
        (&["serve", "tcp-listen:127.0.0.1:0", "--exec", "a=b", "--doc", "a=x", "--doc=a=y"], None),
        (&["serve", "tcp-listen:127.0.0.1:0", "--exec", "ipfi.describe=b"], None),
        (&["serve", "tcp-listen:192.0.2.1:1", "--exec", "a=b"], None),
    ];
    let mut text = String::new();
    for (case, input) in cases {
        let done = run(dir.path(), case, *input);
        let errors: Vec<_> = done.err.lines().filter(|line| line.starts_with("ipfi: ")).collect();
        assert_eq!(errors.len(), 1, "{case:?}: {}", done.err);
        assert!(!done.err.contains("panicked at"), "{case:?}: {}", done.err);
        let clean = |text: &str| {
            text.replace(&dir.path().display().to_string(), "DIR")
                .replace(&a, "A")
                .replace(&bincode, "BINCODE")
                .replace(&private, "PRIVATE")
                .replace(&full, "FULL")
                .replace(&mute, "MUTE")
        };
        let _ = writeln!(text, "$ {}\n{}: {}", clean(&case.join(" ")), done.code, clean(errors[0]));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_lost_wire_has_a_code_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp:{}", listener.local_addr().unwrap());
    let peer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        // A hello with the smallest limits, and then nothing more.
        stream.write_all(&[0x1f, 0xf1, 1, 2, 0, 0, 0, 0]).unwrap();
        let mut bytes = [0; 20];
        stream.read_exact(&mut bytes).unwrap();
    });
    let done = run(dir.path(), &["call", &address, "add", "1", "2"], None);
    peer.join().unwrap();
    assert_eq!(done.code, 4);
    let lost = format!("ipfi: lost `{address}`: the byte stream ended unexpectedly\n");
    assert_eq!(done.err, lost);
}

#[test]
fn usage_errors_are_clap_s_own() {
    let dir = tempfile::tempdir().unwrap();
    for case in [
        &[][..],
        &["call", "tcp:x:1"],
        &["call", "tcp:x:1", "add", "--deadline=soon"],
        &["call", "tcp:x:1", "add", "1", "--args=x"],
        &["serve", "tcp-listen:x:1"],
        &["serve", "tcp-listen:x:1", "--exec", "x"],
        &["bench", "tcp:x:1", "add", "-c0"],
        &["bench", "tcp:x:1", "add", "-n0"],
        &["ping", "tcp:x:1", "-n0"],
        &["gateway", "tcp-listen:127.0.0.1:0", "tcp:x:1", "--max-clients=0"],
        &["frobnicate"],
    ] {
        let done = run(dir.path(), case, None);
        assert_eq!(done.code, 2, "{case:?}");
    }
}
