//! The relays that are compared, each a process of its own.

use std::{
    env,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
};

/// How to start a relay.
pub(crate) struct Relay {
    pub(crate) name: String,
    kind: Kind,
}

enum Kind {
    Bridge { path: String, arguments: Vec<String> },
    Socat { arguments: Vec<String> },
    Splice2,
}

/// Where a relay goes to.
pub(crate) enum To {
    Tcp(u16),
    /// A terminal's path.
    Tty(String),
}

impl Relay {
    pub(crate) fn bridge(path: &Path, arguments: &[&str]) -> Self {
        Self {
            name: format!("ipfi-bridge {}", arguments.join(" ")),
            kind: Kind::Bridge {
                path: path.display().to_string(),
                arguments: arguments.iter().map(ToString::to_string).collect(),
            },
        }
    }

    pub(crate) fn socat(arguments: &[&str]) -> Self {
        Self {
            name: format!("socat {}", arguments.join(" ")),
            kind: Kind::Socat { arguments: arguments.iter().map(ToString::to_string).collect() },
        }
    }

    pub(crate) fn splice2() -> Self {
        Self { name: "tokio-splice2".into(), kind: Kind::Splice2 }
    }

    /// Starts the relay between a TCP port and something.
    pub(crate) fn start(&self, port: u16, to: &To) -> Running {
        let mut command = match &self.kind {
            Kind::Bridge { path, arguments } => {
                let mut command = Command::new(path);
                let far = match to {
                    To::Tcp(port) => format!("tcp:127.0.0.1:{port}"),
                    To::Tty(path) => format!("serial:{path}"),
                };
                command.args(["--quiet", "--stats", "none"]).args(arguments);
                command.args([format!("tcp-listen:127.0.0.1:{port}"), far]);
                command
            }
            Kind::Socat { arguments } => {
                let mut command = Command::new("socat");
                let far = match to {
                    To::Tcp(port) => format!("tcp:127.0.0.1:{port},nodelay"),
                    To::Tty(path) => format!("{path},raw,echo=0"),
                };
                let near = format!("tcp-listen:{port},bind=127.0.0.1,reuseaddr,nodelay");
                command.args(arguments).args([near, far]);
                command
            }
            Kind::Splice2 => {
                let To::Tcp(far) = to else { panic!("the splice relay knows TCP only") };
                let mut command = Command::new(env::current_exe().expect("our own path"));
                command.args(["splice2".into(), format!("{port}"), format!("{far}")]);
                command
            }
        };
        let child = command.stdin(Stdio::null()).spawn().expect("the relay starts");
        Running(child)
    }
}

/// A relay that is killed when dropped.
pub(crate) struct Running(Child);

impl Running {
    /// User and system time so far, in seconds (proc(5), `stat`: 100 ticks a second).
    pub(crate) fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let fields: Vec<f64> =
            after_name.split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
        (fields[11] + fields[12]) / 100.0
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Our own process as a relay with `tokio-splice2`.
pub(crate) fn splice2(listen: &str, dial: &str) -> ExitCode {
    let run = async {
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{listen}")).await?;
        loop {
            let (mut near, _) = listener.accept().await?;
            let mut far = tokio::net::TcpStream::connect(format!("127.0.0.1:{dial}")).await?;
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            tokio::spawn(
                async move { tokio_splice2::copy_bidirectional(&mut near, &mut far).await },
            );
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result: std::io::Result<()> = runtime.expect("a runtime").block_on(run);
    eprintln!("{result:?}");
    ExitCode::FAILURE
}
