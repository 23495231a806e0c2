//! The engine's measurements and those beside its peers. A file for each kind; each has a function `measure` that hands its rows to
//! the harness ([`guesthouse_tests::bench`]). CONTRIBUTING.md says how to add one.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on ends there"
)]

mod debian;
mod disks;
mod exits;
mod guests;
mod idle;
mod nat;
mod remote;
mod start;
mod traffic;
mod window;

use std::process::ExitCode;

use guesthouse_tests::bench::Harness;

fn main() -> ExitCode {
    if let Some(part) = nat::part() {
        return part;
    }
    let mut harness = Harness::from_arguments();
    start::measure(&mut harness);
    window::measure(&mut harness);
    exits::measure(&mut harness);
    disks::measure(&mut harness);
    remote::measure(&mut harness);
    nat::measure(&mut harness);
    guests::measure(&mut harness);
    debian::measure(&mut harness);
    idle::measure(&mut harness);
    harness.finish()
}
