//! Why a virtual processor cannot go on, in words.

use std::fmt::Write;

/// What KVM says with `KVM_EXIT_INTERNAL_ERROR`.
pub(super) struct InternalError {
    /// 1: an instruction could not be emulated. 3: an event was being delivered. 4: an unexpected reason.
    pub suberror: u32,
    /// What comes with it.
    pub data: Vec<u64>,
}

/// Says what happened at `instruction` (segment base and pointer) on a host that may emulate guests' kernels (`emulated`).
pub(super) fn describe(
    error: &InternalError,
    segment_base: u64,
    instruction: u64,
    emulated: bool,
) -> String {
    let place = format!("at address {:#x}", segment_base.wrapping_add(instruction));
    match error.suberror {
        1 => {
            let bytes = instruction_bytes(&error.data);
            let Some(first) = bytes.first() else {
                return format!(
                    "The guest went on {place}, where there is no memory to hold a program: it has lost its way. Reset the machine; if it \
                     happens again, the guest's software is damaged or does not know this kind of machine."
                );
            };
            let mut text = format!("The host could not carry out an instruction {place} (bytes");
            for byte in &bytes {
                // Writing to a string does not fail.
                let _ = write!(text, " {byte:02x}");
            }
            text.push(')');
            let empty = [0x00, 0xff].contains(first) && bytes.iter().all(|byte| byte == first);
            text.push_str(if empty {
                ". These are no instructions: the guest has lost its way. Reset the machine; if it happens again, the guest's software is \
                 damaged or does not know this kind of machine."
            } else if emulated {
                ". This computer's KVM (KVM-PVM) emulates what runs below a guest's programs and does not know every instruction; \
                 run this guest on a computer with hardware virtualization."
            } else {
                ". The guest uses an instruction that this computer's KVM cannot emulate; try another version of the guest, or the other \
                 generation of machine."
            });
            text
        }
        3 => format!(
            "The processor failed while it took an interrupt {place}. The guest's interrupt tables may be damaged; reset the machine."
        ),
        other => format!(
            "KVM reported internal error {other} {place}. The kernel's log (\"sudo dmesg\") may tell more."
        ),
    }
}

/// The bytes of the instruction, if KVM gave them: data[0] has bit 0 set, then a byte with their number and 15 bytes.
fn instruction_bytes(data: &[u64]) -> Vec<u8> {
    let [flags, first, second, ..] = data else {
        return Vec::new();
    };
    if flags & 1 == 0 {
        return Vec::new();
    }
    let bytes: Vec<u8> = [first.to_le_bytes(), second.to_le_bytes()].concat();
    let count = bytes.first().map_or(0, |count| usize::from(*count).min(15));
    bytes.get(1..=count).unwrap_or(&[]).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_shown_with_its_place() {
        let error = InternalError {
            suberror: 1,
            data: vec![1, u64::from_le_bytes([3, 0x0f, 0xae, 0x28, 0, 0, 0, 0]), 0],
        };
        let text = describe(&error, 0xf0000, 0xfff0, true);
        assert!(
            text.contains("0xffff0")
                && text.contains("(bytes 0f ae 28)")
                && text.contains("KVM-PVM"),
            "{text}"
        );
        assert!(describe(&error, 0, 0, false).contains("generation"));
    }

    #[test]
    fn a_guest_that_lost_its_way_is_told_from_one_with_a_strange_instruction() {
        let bytes = |byte: u8| {
            vec![
                1,
                u64::from_le_bytes([7, byte, byte, byte, byte, byte, byte, byte]),
                0,
            ]
        };
        for (data, lost) in [
            (vec![], true),
            (bytes(0xff), true),
            (bytes(0), true),
            (bytes(0x0f), false),
        ] {
            let text = describe(&InternalError { suberror: 1, data }, 0xa0000, 0x10, false);
            assert_eq!(text.contains("lost its way"), lost, "{text}");
            assert!(text.contains("0xa0010"), "{text}");
        }
    }

    #[test]
    fn nothing_is_invented_from_short_or_silent_data() {
        for data in [vec![], vec![1], vec![1, 2], vec![0, u64::MAX, u64::MAX]] {
            assert!(!describe(&InternalError { suberror: 1, data }, 0, 0, true).contains("bytes"));
        }
        let most = instruction_bytes(&[1, u64::MAX, u64::MAX, 0]);
        assert_eq!(most.len(), 15, "a count of 255 is cut to what there is");
    }
}
