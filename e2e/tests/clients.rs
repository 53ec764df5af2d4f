//! The wire: boto3 drives the mock, and the adapter on aws-sdk-ec2 drives moto and the mock at its worst.
//!
//! boto3 and moto need a Python environment (`scripts/clients`); without a network those tests are skipped, or fail where
//! `CI` is set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "clients/boto3.rs"]
mod boto3;
#[path = "clients/faults.rs"]
mod faults;
#[path = "clients/moto.rs"]
mod moto;
#[path = "clients/port.rs"]
mod port;
#[path = "clients/prefixes.rs"]
mod prefixes;
#[path = "clients/process.rs"]
mod process;
#[path = "clients/relay.rs"]
mod relay;
#[path = "clients/spoilt.rs"]
mod spoilt;
#[path = "clients/symbols.rs"]
mod symbols;
#[path = "clients/venv.rs"]
mod venv;
