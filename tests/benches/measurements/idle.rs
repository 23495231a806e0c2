//! What ten guests cost that do nothing: the processor time of their programs, over ten seconds.

use std::time::Duration;

use guesthouse_tests::bench::program::{Machines, Running, qemu};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, subject};
use guesthouse_tests::media::gathered;

const GUESTS: usize = 10;
const MEMORY: u64 = 128;
/// The nested rig's host may be busy with other things.
const LIMIT: Duration = Duration::from_secs(900);
/// For what a guest does after its login appears.
const SETTLING: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(10);

/// Starts ten, and tells in hundredths of a processor what they use once all stand at their login.
fn idle(start: impl Fn(usize) -> anyhow::Result<Running>) -> anyhow::Result<[f64; 1]> {
    // One after the other: ten that start at once on a slow computer take each other's time until their drivers give up.
    let guests = (0..GUESTS).map(|number| {
        let guest = start(number)?;
        guest.wait_for("guest login: ", LIMIT)?;
        anyhow::Ok(guest)
    });
    let guests = guests.collect::<anyhow::Result<Vec<_>>>()?;
    std::thread::sleep(SETTLING);
    let used = || {
        let times = guests.iter().map(Running::processor_time);
        times.sum::<anyhow::Result<Duration>>()
    };
    let before = used()?;
    std::thread::sleep(MEASURED);
    let used = used()?.saturating_sub(before);
    Ok([used.as_secs_f64() / MEASURED.as_secs_f64() * 100.0])
}

/// Hands over the rows of this file.
pub fn measure(harness: &mut Harness) {
    let quantities = [less(
        "processor time of ten idle Linux guests",
        Unit::PercentOfProcessor,
    )];
    if !harness.wants(&quantities) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let machines = Machines::new(&scratch.path().join("machines"));
    let medium = gathered("linux.iso").display().to_string();
    let memory = format!("{MEMORY}M");
    let name = |number: usize| format!("idle{number}");
    for number in 0..GUESTS {
        let options = [
            "--iso", &medium, "--disk", "none", "--cpus", "1", "--memory", &memory,
        ];
        machines.create(&name(number), &options).unwrap();
    }
    harness.measure(
        Needs::HardwareVirtualization,
        quantities,
        1,
        vec![
            subject("Guesthouse", || {
                idle(|number| Running::start(machines.run(&name(number))?))
            }),
            subject("QEMU pc", || {
                idle(|_| {
                    let mut command = qemu("pc", MEMORY);
                    command.args(["-vga", "std", "-cdrom", &medium, "-boot", "d"]);
                    Running::start(command)
                })
            }),
        ],
    );
}
