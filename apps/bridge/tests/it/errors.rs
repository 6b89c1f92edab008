//! What goes wrong is said in one line that names the thing and the way out.

use std::fmt::Write as _;

use crate::common::{run, server};

#[test]
fn one_clear_line_each() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (held, _) = server();
    let port = held.local_addr().unwrap().port().to_string();
    std::fs::write(path("plain"), "x").unwrap();
    std::fs::write(path("bad.toml"), "[[bridge]]\na = 'tcp::1'\n").unwrap();
    let busy = format!("tcp-listen:127.0.0.1:{port}");
    let missing = format!("serial:{}", path("ttyX"));
    let not_a_tty = format!("serial:{}", path("plain"));
    let no_folder = format!("unix-listen:{}", path("no/such/sock"));
    let no_socket = format!("unix:{}", path("none.sock"));
    let bad_config = path("bad.toml");
    let no_config = path("none.toml");
    let cases: &[&[&str]] = &[
        &["nonsense", "tcp:localhost:1"],
        &["tcp:localhost", "tcp:localhost:1"],
        &["tcp:localhost:http", "tcp:localhost:1"],
        &["tpc:localhost:1", "tcp:localhost:1"],
        &["gopher:localhost:1", "tcp:localhost:1"],
        &["qra+tcp:localhost:1", "tcp:localhost:1"],
        &["tcp:localhost:1,nodealy=no", "tcp:localhost:1"],
        &["tcp:localhost:1,nodelay=perhaps", "tcp:localhost:1"],
        &["tcp:localhost:1,bind=%", "tcp:localhost:1"],
        &["tcp:localhost:1,nodelay,nodelay", "tcp:localhost:1"],
        &["noise+tcp:localhost:1,drop=2", "tcp:localhost:1"],
        &["stdio-listen:", "tcp:localhost:1"],
        &["tcp:127.0.0.1:1", "exec:cat"],
        &[&busy, "exec:cat"],
        &["tcp-listen:192.0.2.1:1", "exec:cat"],
        &["exec:", "tcp-listen:127.0.0.1:0"],
        &["exec:no-such-program,once", "tcp-listen:127.0.0.1:0"],
        &["tcp-listen:127.0.0.1:0", &missing],
        &["tcp-listen:127.0.0.1:0", &not_a_tty],
        &["tcp-listen:127.0.0.1:0", "serial:/dev/null,baud=fast"],
        &[&no_folder, "exec:cat"],
        &["stdio:", &no_socket],
        &["--config", &bad_config],
        &["--config", &no_config],
        &["transports", "tpc"],
    ];
    let mut text = String::new();
    for case in cases {
        let (code, out, err) = run(case);
        let lines: Vec<_> = err.lines().filter(|line| line.starts_with("ipfi-bridge: ")).collect();
        let error = lines.last().copied().unwrap_or_default();
        assert!(out.is_empty(), "{case:?} wrote {out:?}");
        assert!(!err.contains("panicked"), "{case:?}: {err}");
        let clean = |text: &str| {
            let text = text.replace(&dir.path().display().to_string(), "DIR");
            text.replace(&port, "PORT")
        };
        let _ = writeln!(text, "$ {}\n{code}: {}", clean(&case.join(" ")), clean(error));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn usage_errors_are_clap_s_own() {
    for case in [
        &["tcp:x:1"][..],
        &["--on-busy=fight", "a:", "b:"],
        &["--linger=long", "a:", "b:"],
        &["--nonsense"],
        &["--max-peers=0", "a:", "b:"],
        &["a:", "b:", "c:"],
    ] {
        let (code, _, err) = run(case);
        assert_eq!(code, 2, "{case:?}");
        assert!(err.starts_with("error: "), "{case:?}: {err}");
    }
}
