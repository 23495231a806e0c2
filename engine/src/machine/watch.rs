//! Looks now and then whether the guest hangs, and says so once. A processor that waits with interrupts off never goes on, and one
//! that stays at the same instruction with interrupts off does nothing that could change it; a guest that is merely idle lets
//! interrupts in. Boot loaders wait for a key in a loop with interrupts off, where a few looks may find them at the same instruction by
//! chance: many looks, one soon after the other, do not.

use std::time::Duration;

use super::hardware::Hardware;
use crate::hypervisor::{Activity, ProcessorState};

/// How often a running guest is looked at.
pub(super) const INTERVAL: Duration = Duration::from_secs(10);
/// How many looks in a row must find it in the same place.
const LOOKS: u32 = 3;
/// How many more looks, [`SOON`] apart, must find a processor that works there too before it is said.
const MORE_LOOKS: u32 = 20;
const SOON: Duration = Duration::from_millis(7);

/// What the looks before found.
#[derive(Default)]
pub(super) struct Watch {
    /// Where the processors were, and how many looks found them there.
    places: Vec<Place>,
    looks: u32,
    told: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    index: u32,
    halted: bool,
    instruction: u64,
}

impl Watch {
    /// Looks at the guest, which has run for [`INTERVAL`] without anything to report; that stops it for less than a millisecond. Tells when it
    /// was found to hang for the first time at this place.
    pub fn look(&mut self, hardware: &Hardware) -> Option<String> {
        self.judge(&hardware.look_at_processors(), || {
            std::thread::sleep(SOON);
            hardware.look_at_processors()
        })
    }

    /// Compares where the processors are with where they were; `again` looks once more.
    fn judge(
        &mut self,
        states: &[ProcessorState],
        mut again: impl FnMut() -> Vec<ProcessorState>,
    ) -> Option<String> {
        let places = places(states);
        if places.is_empty() || places != self.places {
            self.looks = u32::from(!places.is_empty());
            self.places = places;
            self.told = false;
            return None;
        }
        self.looks = self.looks.saturating_add(1);
        if self.looks < LOOKS || self.told {
            return None;
        }
        let halted = self.places.iter().all(|place| place.halted);
        if !halted && (0..MORE_LOOKS).any(|_| self::places(&again()) != self.places) {
            self.looks = 0;
            return None;
        }
        self.told = true;
        Some(if halted {
            "The guest hangs: its processors wait for interrupts and let none in, so it will never go on. It has crashed, or has shut \
             down without switching the machine off. Reset the machine, or force it off."
                .to_owned()
        } else {
            let busy: Vec<String> = self
                .places
                .iter()
                .filter(|place| !place.halted)
                .map(|place| {
                    format!(
                        "processor {} at address {:#x}",
                        place.index, place.instruction
                    )
                })
                .collect();
            format!(
                "The guest seems to hang: it has been at the same instruction with interrupts switched off for {} seconds ({}). Reset \
                 the machine if nothing changes.",
                u64::from(LOOKS - 1) * INTERVAL.as_secs(),
                busy.join(", ")
            )
        })
    }
}

/// Where the processors that were started are; nothing if one of them lets interrupts in.
fn places(states: &[ProcessorState]) -> Vec<Place> {
    let started = states
        .iter()
        .filter(|state| state.activity != Activity::NotStarted);
    let places: Option<Vec<Place>> = started
        .map(|state| {
            (!state.interrupts).then_some(Place {
                index: state.index,
                halted: state.activity == Activity::Halted,
                instruction: state.instruction,
            })
        })
        .collect();
    places.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvm_bindings::{KVM_MP_STATE_HALTED, KVM_MP_STATE_RUNNABLE, KVM_MP_STATE_UNINITIALIZED};

    fn state(index: u32, mp_state: u32, interrupts: bool, instruction: u64) -> ProcessorState {
        ProcessorState::for_tests(index, mp_state, interrupts, instruction)
    }

    #[test]
    fn only_a_guest_that_lets_no_interrupts_in_hangs_and_it_is_told_once() {
        let halted = [
            state(0, KVM_MP_STATE_HALTED, false, 0x1000),
            state(1, KVM_MP_STATE_UNINITIALIZED, false, 0xfff0),
        ];
        let still =
            |watch: &mut Watch, states: &[ProcessorState]| watch.judge(states, || states.to_vec());
        let mut watch = Watch::default();
        assert_eq!(still(&mut watch, &halted), None);
        assert_eq!(still(&mut watch, &halted), None);
        assert!(still(&mut watch, &halted).unwrap().contains("never go on"));
        assert_eq!(still(&mut watch, &halted), None);

        let idle = [state(0, KVM_MP_STATE_HALTED, true, 0x1000)];
        let mut watch = Watch::default();
        for _ in 0..10 {
            assert_eq!(still(&mut watch, &idle), None);
        }
        let moving = |at| [state(0, KVM_MP_STATE_RUNNABLE, false, at)];
        for at in 0..10 {
            assert_eq!(still(&mut watch, &moving(at)), None);
        }
        assert_eq!(still(&mut watch, &moving(9)), None);
        let text = still(&mut watch, &moving(9)).unwrap();
        assert!(text.contains("processor 0 at address 0x9"), "{text}");
    }

    #[test]
    fn a_loop_that_was_found_at_one_instruction_by_chance_does_not_hang() {
        let at = |place| vec![state(0, KVM_MP_STATE_RUNNABLE, false, place)];
        let mut watch = Watch::default();
        for _ in 0..12 {
            let mut later = 0;
            let told = watch.judge(&at(7), || {
                later += 1;
                at(if later < MORE_LOOKS { 7 } else { 8 })
            });
            assert_eq!(told, None);
        }
    }
}
