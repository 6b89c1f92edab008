//! `demo-serial-pty`: a thermometer behind a serial line that turns over one bit in two thousand.
//!
//! The line is a pseudo-terminal. `arq+` at both ends makes a reliable stream of it; what runs over
//! that is the same as over TCP.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use ipfi::{CallError, Interface, Sender, Wire, channel};
use ipfi_transport::Registry;

/// What the device offers.
fn thermometer() -> Interface {
    Interface::new()
        .procedure("temperature", || 21.5)
        .procedure("watch", async |samples: u32, out: Sender<f64>| {
            for n in 0..samples {
                let sample = 21.5 + f64::from(n % 10) / 10.0;
                if out.send(sample).await.is_err() {
                    break; // Nobody looks any more.
                }
            }
        })
        .procedure("calibrate", |table: Vec<f64>| table.iter().sum::<f64>())
}

/// What is asked of it.
async fn ask(device: &Wire) -> Result<(), CallError> {
    println!("it answers after {:.1?}", device.ping().await.unwrap_or_default());
    println!("it is {} degrees", device.call::<f64>("temperature", ()).await?);
    let (sender, mut samples) = channel::<f64>(16);
    let watching = device.call::<()>("watch", (500_u32, sender)).start();
    let (mut count, mut sum) = (0_u32, 0.0);
    while let Ok(Some(sample)) = samples.recv().await {
        count += 1;
        sum += sample;
    }
    watching.await?;
    println!("{count} samples, {:.2} degrees on average", sum / f64::from(count.max(1)));
    let table: Vec<f64> = (0..1000).map(f64::from).collect();
    println!(
        "it adds up {} numbers to {}",
        table.len(),
        device.call::<f64>("calibrate", (table,)).await?
    );
    Ok(())
}

async fn run(registry: &Registry, tty: &str) -> anyhow::Result<()> {
    let device = format!("arq+noise+pty:{tty},flip=5e-4").parse()?;
    let program = format!("arq+noise+serial:{tty},flip=5e-4,baud=115200").parse()?;
    // The device makes the terminal, the program opens it when it is there.
    let reach = async {
        loop {
            match registry.dial(&program).await {
                Ok(stream) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let both = async { tokio::join!(registry.open(&device), reach) };
    let (device, program) = tokio::time::timeout(Duration::from_secs(30), both)
        .await
        .context("the two ends did not find each other")?;
    let device = Wire::spawn(device?, thermometer());
    let program = Wire::spawn(program, Interface::new());
    ask(&program).await?;
    program.close(Some(Duration::from_secs(5))).await;
    drop(device);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let own = std::env::temp_dir().join(format!("demo-tty-{}", std::process::id()));
    let tty = std::env::args().nth(1).unwrap_or_else(|| own.display().to_string());
    match run(&ipfi_transports::default_registry(), &tty).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-serial-pty: {error:#}");
            ExitCode::FAILURE
        }
    }
}
