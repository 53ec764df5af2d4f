//! A black-box CNI conformance suite, and the runtime emulator it stands on: what libcni does with a list of plugins.
