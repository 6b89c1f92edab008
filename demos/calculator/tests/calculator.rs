//! The same client over TCP and over standard input and output.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a test")]

use std::process::Stdio;

use demo_calculator::CalculatorClient;
use ipfi::{Interface, Wire, channel};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

const CALCULATOR: &str = env!("CARGO_BIN_EXE_demo-calculator");

async fn compute(address: &str) {
    let registry = ipfi_transports::default_registry();
    let stream = registry.dial(&address.parse().unwrap()).await.unwrap();
    let calculator = CalculatorClient::new(Wire::spawn(stream, Interface::new()));
    assert_eq!(calculator.add(2.0, 3.0).await.unwrap(), 5.0);
    assert_eq!(calculator.divide(7.0, 2.0).await.unwrap(), 3.5);
    let error = calculator.divide(7.0, 0.0).await.unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");

    let (sender, receiver) = channel(4);
    let sum = calculator.sum(receiver).start();
    for n in 1..=100_u8 {
        sender.send(f64::from(n)).await.unwrap();
    }
    sender.finish().await.unwrap();
    assert_eq!(sum.await.unwrap(), 5050.0);

    let (sender, mut receiver) = channel(4);
    let powers = calculator.powers(100, sender).start();
    let mut got = Vec::new();
    while let Some(power) = receiver.recv().await.unwrap() {
        got.push(power);
    }
    powers.await.unwrap();
    assert_eq!(got, [1, 2, 4, 8, 16, 32, 64]);
}

#[tokio::test]
async fn over_tcp() {
    let mut command = Command::new(CALCULATOR);
    command.arg("tcp-listen:127.0.0.1:0").stderr(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    compute(line.strip_prefix("listening at ").unwrap()).await;
}

#[tokio::test]
async fn over_standard_input_and_output() {
    compute(&format!("exec:{CALCULATOR} stdio:")).await;
}
