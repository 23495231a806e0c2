//! What the whole-machine and whole-program tests share: media that the tests make or find, and a driver that works a machine as
//! a person would: look at the screen, wait for a text, press keys.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

use std::path::PathBuf;

pub mod bench;
pub mod guest;
pub mod image;
pub mod linux;
pub mod matrix;
pub mod media;
pub mod moments;
pub mod picture;
pub mod serial;
pub mod words;
pub mod x_server;

/// Whether this runs in the nested rig, where everything is slower than on hardware.
pub fn in_rig() -> bool {
    std::env::var_os("GUESTHOUSE_RIG").is_some()
}

/// The source tree's folder for what is built and left by tests.
pub fn target_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target")
}
