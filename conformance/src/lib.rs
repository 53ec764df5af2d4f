//! A black-box CNI conformance suite, and the runtime emulator that it stands on: what libcni does with a list of
//! plugins.
//!
//! The suite executes a plugin, reads what it prints and looks at what it did; it links none and knows nothing of
//! berth. How a case comes about: [`catalog`] lists the [`case::Case`]s, [`session`] runs each in the versions and
//! modes that it is for, in a [`world::World`] of its own, and [`report`] tells what came out.

pub mod answer;
pub mod call;
pub mod case;
pub mod cases;
pub mod catalog;
pub mod expectation;
pub mod interrupt;
pub mod netns;
pub mod pod;
pub mod report;
pub mod runtime;
pub mod session;
pub mod subject;
pub mod world;
