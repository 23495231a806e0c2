//! What the whole-machine and whole-program tests share: media that the tests make or find, and a driver that works a machine as
//! a person would: look at the screen, wait for a text, press keys.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

pub mod guest;
pub mod image;
pub mod media;
pub mod picture;
pub mod serial;
pub mod x_server;
