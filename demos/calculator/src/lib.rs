//! A service: a trait, and something that does it.

use ipfi::{Fault, Receiver, Sender};

/// Computes. [`CalculatorClient`] is the same on the other side of a wire.
#[ipfi::service]
pub trait Calculator {
    /// Adds two numbers.
    fn add(&self, a: f64, b: f64) -> f64;
    /// Divides one number by another, but not by zero.
    fn divide(&self, a: f64, b: f64) -> Result<f64, Fault>;
    /// Adds all numbers that come.
    async fn sum(&self, numbers: Receiver<f64>) -> f64;
    /// Gives the powers of two below a number, one after another.
    async fn powers(&self, below: u64, out: Sender<u64>);
}

/// A calculator.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing in it")]
pub struct Abacus;

impl Calculator for Abacus {
    fn add(&self, a: f64, b: f64) -> f64 {
        a + b
    }

    fn divide(&self, a: f64, b: f64) -> Result<f64, Fault> {
        if b == 0.0 { Err(Fault::new("division by zero")) } else { Ok(a / b) }
    }

    async fn sum(&self, mut numbers: Receiver<f64>) -> f64 {
        let mut sum = 0.0;
        while let Ok(Some(number)) = numbers.recv().await {
            sum += number;
        }
        sum
    }

    async fn powers(&self, below: u64, out: Sender<u64>) {
        let powers = (0..u64::BITS).map(|n| 1 << n).take_while(|power| *power < below);
        for power in powers {
            if out.send(power).await.is_err() {
                break; // Nobody wants more.
            }
        }
    }
}
