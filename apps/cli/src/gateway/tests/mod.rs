//! The gateway in a simulated world: 115,200 baud to the device, virtual time, no I/O.

mod deaths;
mod fairness;
mod relaying;
mod world;
