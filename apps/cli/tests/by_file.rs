//! `morse:` by named pipes, and by standard input and output: the sound goes where one likes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ipfi(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipfi"));
    command.args(arguments);
    command
}

fn pipe(path: &Path) -> String {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    path.display().to_string()
}

#[test]
fn sound_crosses_from_pipe_to_standard_input_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (there, back) = (pipe(&folder.path().join("there")), pipe(&folder.path().join("back")));
    // For reading and writing it opens at once.
    let open = |path: &str| File::options().read(true).write(true).open(path).unwrap();
    let mut serve =
        ipfi(&["serve", "-q", "morse-listen:,mode=cable,in=-,out=-", "--exec", "a=cat"]);
    serve.stdin(Stdio::from(open(&there))).stdout(Stdio::from(open(&back)));
    let _server = Server(serve.spawn().unwrap());
    let address = format!("morse:,mode=cable,in={back},out={there}");
    let ping = ipfi(&["ping", &address, "-n", "2"]).output().unwrap();
    let said = String::from_utf8_lossy(&ping.stdout);
    assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stderr));
    assert!(said.contains("2 round trips"), "{said}");
}
