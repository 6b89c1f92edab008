//! The service manager: readiness, watchdog, passed sockets.

use std::{
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
};

use crate::common::{Bridge, PATIENCE, answer, connect, server};
use std::io::Write;

#[test]
fn says_when_it_is_ready_and_pets_the_watchdog() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
    command.args(["tcp-listen:127.0.0.1:0", "exec:cat"]).stdin(Stdio::null());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let bridge = Bridge::spawn(command);
    let mut heard = Vec::new();
    while !(heard.contains(&"READY=1".to_owned())
        && heard.iter().filter(|text| *text == "WATCHDOG=1").count() >= 2)
    {
        let mut buf = [0; 256];
        let n = socket.recv(&mut buf).unwrap();
        let text = String::from_utf8_lossy(&buf[..n]);
        heard.extend(text.lines().map(ToOwned::to_owned));
    }
    bridge.signal("TERM");
    assert_eq!(bridge.finish().0.code(), Some(0));
}

#[test]
fn takes_a_socket_that_was_passed() {
    let (far, address) = server();
    let passed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = passed.local_addr().unwrap().port();
    let script = format!(
        "LISTEN_PID=$$ LISTEN_FDS=1 exec {} tcp-listen:systemd {address} 3<&0 </dev/null",
        env!("CARGO_BIN_EXE_ipfi-bridge")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).stdin(Stdio::from(OwnedFd::from(passed)));
    let mut bridge = Bridge::spawn(command);
    bridge.wait_for("listening at");
    let mut client = connect(port);
    let (server, _) = far.accept().unwrap();
    client.write_all(b"through\n").unwrap();
    assert_eq!(answer(&server), "through\n");
}
