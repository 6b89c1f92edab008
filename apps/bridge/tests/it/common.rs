//! Starts the real program and other real programs, and waits for what they say.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

pub(crate) use ipfi_app::testing::{PATIENCE, Running, pause, until};

/// A running `ipfi-bridge`, killed when dropped.
pub(crate) struct Bridge(Running);

impl Bridge {
    /// Starts it and waits until its ends are open.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        Self::spawn(command)
    }

    /// Starts it with standard input and output of the caller's choice.
    pub(crate) fn spawn(command: Command) -> Self {
        Self(Running::start(command))
    }

    /// The port it listens at, for an address with port 0.
    pub(crate) fn port(&mut self) -> u16 {
        let line = self.wait_for("listening at");
        let port = line.rsplit(':').next().expect("a port");
        port.parse().unwrap_or_else(|_| panic!("no port in {line}"))
    }

    /// Connects to the port it listens at.
    pub(crate) fn connect(&mut self) -> TcpStream {
        connect(self.port())
    }

    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child().stdin.take().expect("piped")
    }

    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child().stdout.take().expect("piped")
    }

    /// Waits for its end and hands over the lines that nobody waited for.
    pub(crate) fn finish(mut self) -> (ExitStatus, Vec<String>) {
        (self.0.finish(), self.0.rest())
    }

    /// Processor time so far, in ticks of 10 ms (proc(5)).
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Deref for Bridge {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.0
    }
}

impl DerefMut for Bridge {
    fn deref_mut(&mut self) -> &mut Running {
        &mut self.0
    }
}

/// Runs the program to its end: exit code, standard output, standard error.
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi-bridge"));
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().expect("the bridge starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Another program, killed when dropped.
pub(crate) struct Helper(Child);

impl Helper {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A device on a pty that socat owns: its path, and our hands on the device's side.
pub(crate) struct Device {
    socat: Option<Helper>,
    listener: std::os::unix::net::UnixListener,
    socket: PathBuf,
    pub(crate) path: String,
    pub(crate) wire: std::os::unix::net::UnixStream,
}

impl Device {
    pub(crate) fn new(dir: &Path) -> Self {
        let socket = dir.join("device.sock");
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let path = dir.join("tty").display().to_string();
        let (socat, wire) = plug(&listener, &socket, &path);
        Self { socat: Some(socat), listener, socket, path, wire }
    }

    /// Kills the socat that owns the pty: the device is unplugged. Its name goes first, so that
    /// it never leads to another test's pty of the same number.
    pub(crate) fn unplug(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
        self.socat.take().expect("plugged in").kill();
    }

    /// The device comes back, as another pty under the same name.
    pub(crate) fn plug_in(&mut self) {
        let (socat, wire) = plug(&self.listener, &self.socket, &self.path);
        self.socat = Some(socat);
        self.wire = wire;
    }
}

fn plug(
    listener: &std::os::unix::net::UnixListener,
    socket: &Path,
    path: &str,
) -> (Helper, std::os::unix::net::UnixStream) {
    let mut command = Command::new("socat");
    command.arg("-b65536").arg(format!("pty,raw,echo=0,link={path}"));
    command.arg(format!("unix-connect:{}", socket.display()));
    let socat = Helper::start(&mut command);
    let (wire, _) = listener.accept().unwrap();
    wire.set_read_timeout(Some(PATIENCE)).unwrap();
    until(|| std::fs::metadata(path).is_ok());
    (socat, wire)
}

pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the bridge accepts");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A server of ours, and its address.
pub(crate) fn server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp:{}", listener.local_addr().unwrap());
    (listener, address)
}

/// Reads a line, a byte at a time, so that nothing after it is lost.
pub(crate) fn answer(mut stream: impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    // Goes on after a signal, which ends a read that has a timeout.
    while !line.ends_with(b"\n") {
        match stream.read_exact(&mut byte) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            read => read.unwrap(),
        }
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Sends bytes from one end to the other and holds them against what arrives.
pub(crate) fn pass(bytes: &[u8], mut from: impl Write + Send, mut to: impl Read) {
    let mut received = vec![0; bytes.len()];
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(bytes).unwrap());
        to.read_exact(&mut received).unwrap();
    });
    assert!(received == bytes, "bytes are missing or out of place");
}

/// Bytes that tell whether one is missing or out of place.
pub(crate) fn payload(len: usize) -> Vec<u8> {
    let mut x = 1_u32;
    let next = |x: &mut u32| {
        *x ^= *x << 13;
        *x ^= *x >> 17;
        *x ^= *x << 5;
        x.to_le_bytes()[1]
    };
    (0..len).map(|_| next(&mut x)).collect()
}
