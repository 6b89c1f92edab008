//! The program between real things: terminals, ser2net, children, layers.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
};

use crate::common::{Bridge, Device, Helper, answer, connect, pass, payload, run, server, until};

#[test]
fn a_tcp_port_in_front_of_a_serial_device() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::new(dir.path());
    let serial = format!("serial:{},baud=115200n81", device.path);
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &serial]);
    let client = bridge.connect();
    pass(&payload(1 << 20), &client, &device.wire);
    pass(&payload(1 << 20), &device.wire, &client);
}

#[test]
fn through_ser2net() {
    let dir = tempfile::tempdir().unwrap();
    let device = Device::new(dir.path());
    let port = server().0.local_addr().unwrap().port();
    let config = dir.path().join("ser2net.yaml");
    let text = format!(
        "connection: &c\n  accepter: tcp,127.0.0.1,{port}\n  enable: on\n  \
         connector: serialdev,{},115200n81,local\n",
        device.path
    );
    std::fs::write(&config, text).unwrap();
    let mut ser2net = Command::new("ser2net");
    let _ser2net = Helper::start(ser2net.args(["-d", "-u", "-c"]).arg(&config));
    let far = format!("tcp:127.0.0.1:{port}");
    let mut bridge = Bridge::start(&["--on-loss=retry", "tcp-listen:127.0.0.1:0", &far]);
    let mut client = bridge.connect();
    client.write_all(b"to the device\n").unwrap();
    assert_eq!(answer(&device.wire), "to the device\n");
    (&device.wire).write_all(b"from the device\n").unwrap();
    assert_eq!(answer(&client), "from the device\n");
}

#[test]
fn a_child_for_each_peer() {
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", "exec:tr a-z A-Z,shell"]);
    let port = bridge.port();
    for word in ["one", "two"] {
        let mut client = connect(port);
        client.write_all(word.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = String::new();
        client.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, word.to_uppercase());
    }
}

#[test]
fn a_plug_in_in_python_at_both_ends() {
    let with_path = |arguments: &[&str]| {
        let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../../demos/plugin-python");
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
        command.args(arguments).env("PATH", format!("{demo}:{path}")).stdin(Stdio::null());
        Bridge::spawn(command)
    };
    let port = server().0.local_addr().unwrap().port();
    let mut proxy = with_path(&[&format!("webproxy-listen:127.0.0.1:{port}"), "exec:cat"]);
    proxy.wait_for("listening at");
    until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let far = format!("webproxy:device.example:7,proxy=127.0.0.1:{port}");
    let mut bridge = with_path(&["tcp-listen:127.0.0.1:0", &far]);
    let client = bridge.connect();
    pass(&payload(300_000), &client, &client);
}

#[test]
fn standard_input_and_output_like_netcat() {
    let (listener, address) = server();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
    command.args(["stdio:", &address]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut bridge = Bridge::spawn(command);
    let (mut server, _) = listener.accept().unwrap();
    let bytes = payload(1 << 20);
    let (mut stdin, mut stdout) = (bridge.stdin(), bridge.stdout());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            stdin.write_all(&bytes).unwrap();
            drop(stdin);
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).unwrap();
        assert!(received == bytes);
        scope.spawn(|| {
            server.write_all(&bytes).unwrap();
            server.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        stdout.read_to_end(&mut received).unwrap();
        assert!(received == bytes);
    });
    assert_eq!(bridge.finish().0.code(), Some(0));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    for far in ["exec:yes", "exec:yes,once"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
        command.args(["stdio:", far]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut bridge = Bridge::spawn(command);
        let _stdin = bridge.stdin();
        assert_eq!(answer(bridge.stdout()), "y\n"); // and closes it
        let (status, lines) = bridge.finish();
        assert_eq!(status.code(), Some(0), "{lines:?}");
    }
    let mut list = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
    list.args(["transports", "tcp"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut list = list.spawn().unwrap();
    drop(list.stdout.take());
    let output = list.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn both_ends_listen_and_peers_meet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("meet.sock").display().to_string();
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &format!("unix-listen:{path}")]);
    let port = bridge.port();
    bridge.wait_for("listening at unix");
    for word in ["first\n", "second\n"] {
        let mut a = connect(port);
        let mut b = std::os::unix::net::UnixStream::connect(&path).unwrap();
        a.write_all(word.as_bytes()).unwrap();
        assert_eq!(answer(&b), word);
        b.write_all(word.as_bytes()).unwrap();
        assert_eq!(answer(&a), word);
    }
}

#[test]
fn three_layers_of_trace_each_with_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("trace.log");
    let (listener, address) = server();
    let far = address.replace("tcp:", "trace+noise+trace+noise+trace+tcp:");
    let far = format!("{far},trace.file={}", log.display());
    let mut bridge = Bridge::start(&["tcp-listen:127.0.0.1:0", &far]);
    let mut client = bridge.connect();
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"seen three times\n").unwrap();
    assert_eq!(answer(&server), "seen three times\n");
    until(|| {
        let text = std::fs::read_to_string(&log).unwrap();
        ["#1", "#2", "#3"].iter().all(|label| {
            text.contains(&format!(
                "{label} >   16  73 65 65 6e 20 74 68 72 65 65 20 74 69 6d 65 73"
            ))
        })
    });
}

#[test]
fn the_whole_bridge_can_be_traced() {
    let (listener, address) = server();
    let mut bridge = Bridge::start(&["--trace=-", "tcp-listen:127.0.0.1:0", &address]);
    let mut client = bridge.connect();
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"hello\n").unwrap();
    assert_eq!(answer(&server), "hello\n");
    bridge.wait_for("<    6  68 65 6c 6c 6f 0a");
    bridge.wait_for(">    6  68 65 6c 6c 6f 0a");
}

#[test]
fn letters_can_be_watched_on_their_way_through_the_air() {
    let air = format!("air=show-{},mode=fast", std::process::id());
    let (listener, address) = server();
    let listen = format!("morse-listen:,{air}");
    let mut far = Bridge::start(&["--show-morse", &listen, &address]);
    let near = ["--show-morse", "tcp-listen:127.0.0.1:0", &format!("morse:,{air}")];
    let mut near = Bridge::start(&near);
    let mut client = near.connect();
    client.write_all(b"hello\n").unwrap();
    let (server, _) = listener.accept().unwrap();
    assert_eq!(answer(&server), "hello\n");
    let is_letters = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    for (bridge, arrow) in [(&mut far, "<- fast, "), (&mut near, "-> fast, ")] {
        let line = bridge.wait_for(arrow);
        let (_, letters) = line.split_once(" s: ").unwrap();
        assert!(letters.len() > 60 && letters.chars().all(is_letters), "{line}");
    }
}

#[test]
fn many_bridges_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (listener, address) = server();
    let path = dir.path().join("x.sock").display().to_string();
    let config = dir.path().join("bridges.toml").display().to_string();
    let text = format!(
        "[[bridge]]\nname = 'one'\na = 'tcp-listen:127.0.0.1:0'\nb = '{address}'\n\n\
         [[bridge]]\nname = 'two'\na = 'unix-listen:{path}'\nb = 'exec:cat'\nidle = '1h'\n"
    );
    std::fs::write(&config, text).unwrap();
    let (code, out, _) = run(&["--check", "--config", &config]);
    assert_eq!(code, 0);
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(!std::path::Path::new(&path).exists(), "a check opens nothing");

    let mut bridge = Bridge::start(&["--config", &config]);
    let line = bridge.wait_for("one: listening at");
    bridge.wait_for("two: listening at");
    let mut client = connect(line.rsplit(':').next().unwrap().parse().unwrap());
    let (server, _) = listener.accept().unwrap();
    client.write_all(b"one\n").unwrap();
    assert_eq!(answer(&server), "one\n");
    let mut local = std::os::unix::net::UnixStream::connect(&path).unwrap();
    local.write_all(b"two\n").unwrap();
    assert_eq!(answer(&local), "two\n");
}

/// Two bridges at the ends of a bad line, which is a third one.
#[test]
fn a_link_over_a_bad_line_says_how_it_fares() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name).display().to_string());
    let noise = format!("noise+pty:{a},flip=3e-4,rate=100000,seed=7");
    let mut line = Bridge::start(&[&noise, &format!("pty:{b}")]);
    line.wait_for(&format!("opened pty:{b}"));
    let arq = |end| format!("arq+serial:{end},baud=1000000");
    let (near_listener, near_address) = server();
    let (far_listener, far_address) = server();
    let mut near = Bridge::start(&["--stats=json", &arq(&a), &near_address]);
    // The other one is on a terminal of 80 columns, for the meter.
    let far = format!("exec {} {} {far_address}", env!("CARGO_BIN_EXE_ipfi-bridge"), arq(&b));
    let mut script = Command::new("sh");
    let words = ["-c", "exec script -qfec \"$0\" /dev/null >&2", &format!("stty cols 80; {far}")];
    script.args(words).stdin(Stdio::null()).stdout(Stdio::null());
    let mut screen = Bridge::spawn(script);
    let (near_client, _) = near_listener.accept().unwrap();
    let (far_client, _) = far_listener.accept().unwrap();
    pass(&payload(300_000), &near_client, &far_client);

    // Readings are taken once a second.
    let mut health = serde_json::Value::Null;
    until(|| {
        near.signal("USR1");
        let line = near.wait_for("{");
        let totals: serde_json::Value =
            serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        health = totals["health"].clone();
        health["retransmitted"].as_u64().is_some_and(|frames| frames > 0)
    });
    assert!(health["goodput"].is_f64() && health["rtt"].as_f64().unwrap() < 5.0, "{health}");
    assert!(health["efficiency"].as_f64().unwrap() > 0.3, "{health}");
    assert!(health["bad-frames"].is_u64(), "{health}");
    assert!(health["frame"].as_u64().unwrap() < 1000, "{health}");
    assert!(health["byte-errors"].as_f64().unwrap() > 1e-4, "{health}");
    assert_eq!(health["fec"], "light", "{health}");
    for name in ["goodput", "retransmitted", "bad-frames", "frame", "fec", "rtt"] {
        screen.wait_for(&format!(" {name} "));
    }
}

/// Pairs of streams say how they fare as well, and to the last byte.
#[test]
fn a_stream_in_datagrams_says_how_it_fares() {
    let (listener, address) = server();
    let port = server().0.local_addr().unwrap().port();
    let mut far = Bridge::start(&[&format!("udp-listen:127.0.0.1:{port}"), &address]);
    far.wait_for("listening at");
    let udp = format!("udp:127.0.0.1:{port}");
    let mut near = Bridge::start(&["--stats=json", "--once", "tcp-listen:127.0.0.1:0", &udp]);
    let client = near.connect();
    let (accepted, _) = listener.accept().unwrap();
    pass(&payload(500_000), &client, &accepted);
    drop((client, accepted));
    let line = near.wait_for("{");
    let totals: serde_json::Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    let health = &totals["health"];
    // The rate of the last moments, which are those of the goodbye; and what of all sent was new.
    assert!(health["goodput"].is_f64(), "{health}");
    assert!(health["efficiency"].as_f64().unwrap() > 0.3, "{health}");
    assert!(health["rtt"].as_f64().unwrap() < 1.0 && health["retransmitted"].is_u64(), "{health}");
    drop(far);
}
