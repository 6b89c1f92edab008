//! The caller sees each step, and its answer counts.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Output, Stdio},
};

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn demo(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo-progress"));
    command.args(words);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn each_step_is_reported_and_may_be_the_last() {
    let mut serve = demo(&["serve", "tcp-listen:127.0.0.1:0"]);
    let mut server = Server(serve.stderr(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(server.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening at ").unwrap();

    let Output { status, stdout, .. } = demo(&["bake", address]).output().unwrap();
    assert!(status.success());
    let out = text(&stdout);
    assert_eq!(out.lines().count(), 11, "{out}");
    assert!(out.starts_with("[##                  ]  10 % mixing\n"), "{out}");
    assert!(out.ends_with("[####################] 100 % baking\na cake\n"), "{out}");

    let Output { status, stdout, stderr } = demo(&["bake", address, "30"]).output().unwrap();
    assert!(!status.success());
    assert_eq!(text(&stdout).lines().count(), 4);
    assert!(text(&stderr).contains("stopped at 40 %"));
}
