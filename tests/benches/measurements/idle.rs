//! What guests cost that do nothing, one and ten of them: the processor time of their programs, over ten seconds.

use std::time::Duration;

use guesthouse_tests::bench::program::{Machines, Running, qemu};
use guesthouse_tests::bench::{Harness, Needs, Unit, less, subject};
use guesthouse_tests::media::gathered;

const MEMORY: u64 = 128;
/// The nested rig's host may be busy with other things.
const LIMIT: Duration = Duration::from_secs(900);
/// For what a guest does after its login appears.
const SETTLING: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(10);

/// Starts `count`, and tells in hundredths of a processor what they use once all stand at their login.
fn idle(
    count: usize,
    start: impl Fn(usize) -> anyhow::Result<Running>,
) -> anyhow::Result<[f64; 1]> {
    // One after the other: ten that start at once on a slow computer take each other's time until their drivers give up.
    let guests = (0..count).map(|number| {
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
    measure_so_many(harness, "processor time of an idle Linux guest", 1);
    // Of its own: in the nested rig QEMU's ten take longer to come up than the bench may.
    measure_so_many(harness, "processor time of ten idle Linux guests", 10);
}

fn measure_so_many(harness: &mut Harness, row: &'static str, count: usize) {
    let quantities = [less(row, Unit::PercentOfProcessor)];
    if !harness.wants(&quantities) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let machines = Machines::new(&scratch.path().join("machines"));
    let medium = gathered("linux.iso").display().to_string();
    let memory = format!("{MEMORY}M");
    let name = |number: usize| format!("idle{number}");
    for number in 0..count {
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
                idle(count, |number| Running::start(machines.run(&name(number))?))
            }),
            subject("QEMU pc", || {
                idle(count, |_| {
                    let mut command = qemu("pc", MEMORY);
                    command.args(["-vga", "std", "-cdrom", &medium, "-boot", "d"]);
                    Running::start(command)
                })
            }),
        ],
    );
}
