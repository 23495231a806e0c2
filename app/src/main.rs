//! The `guesthouse` program: the window and the command line over one engine.
fn main() {}
