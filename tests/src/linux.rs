//! What Linux guests have in common: what their kernels say, and whether they complain.

use crate::guest::{Guest, test_folder};

/// What is no fault of a device of ours: kernels say it on real computers too.
const HARMLESS: &[&str] = &[
    // A firmware without these tables, or a processor without these features, is told of at error level.
    "x86/cpu: VMX (outside TXT) disabled by BIOS",
    "tsc: Unable to calibrate against PIT",
    // The nested rig's emulated processor.
    "MDS CPU bug present",
    "Speculative Store Bypass",
];

/// The messages among those of `dmesg -r` that are errors or worse (levels 0 to 3) and not known to be harmless.
pub fn complaints(messages: &str) -> Vec<&str> {
    let level = |line: &str| -> Option<u32> {
        let digits = line.strip_prefix('<')?.split_once('>')?.0;
        digits.parse().ok()
    };
    let severe = |line: &&str| level(line).is_some_and(|level| level % 8 <= 3);
    let known = |line: &&str| HARMLESS.iter().any(|text| line.contains(text));
    messages
        .lines()
        .filter(severe)
        .filter(|line| !known(line))
        .collect()
}

impl Guest {
    /// Keeps the kernel's messages, read by the shell on the serial line, as dmesg.txt, and judges them.
    ///
    /// # Panics
    /// When the kernel complains.
    pub fn judge_kernel_messages(&self, seconds: u64) -> String {
        let messages = self.shell("dmesg -r", seconds);
        self.judge(&messages);
        messages
    }

    /// Keeps the messages of `dmesg -r` and judges them.
    ///
    /// # Panics
    /// When the kernel complains.
    pub fn judge(&self, messages: &str) {
        std::fs::write(test_folder().join("dmesg.txt"), messages).unwrap();
        if !messages.contains("<6>") {
            self.fail("no messages of the kernel");
        }
        let complaints = complaints(messages);
        if !complaints.is_empty() {
            self.fail(&format!("the kernel complains: {}", complaints.join("; ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_count_whatever_their_facility() {
        let messages = "<6>[ 0.1] fine\n<4>[ 0.2] warning\n<3>[ 0.3] ata1: failed\n<30>[ 1] udevd\n<27>[ 2] systemd: failed\n\
                        <3>[ 0.0] tsc: Unable to calibrate against PIT\nno level";
        assert_eq!(
            complaints(messages),
            ["<3>[ 0.3] ata1: failed", "<27>[ 2] systemd: failed"]
        );
    }
}
