//! Which of the machine's devices takes what a person does: a virtio keyboard or tablet while the guest's driver is up, else the
//! keyboard controller.

use std::sync::Arc;

use parking_lot::Mutex;

use super::MachineEvent;
use super::handle::Common;
use crate::input::{InputEvent, InputSink, Lights};
use crate::virtio::input::{Input, InputHandle, InputKind};

/// The virtio input devices of a machine.
#[derive(Default)]
pub(super) struct VirtioInput {
    pub keyboard: Option<InputHandle>,
    pub tablet: Option<InputHandle>,
}

/// A keyboard that tells the machine of its lights.
pub(super) fn keyboard(common: &Arc<Common>) -> Input {
    let common = Arc::downgrade(common);
    let lights = move |lights: Lights| {
        if let Some(common) = common.upgrade() {
            *common.lights.lock() = lights;
            common.tell(&MachineEvent::from(lights));
        }
    };
    Input::new(InputKind::Keyboard, Box::new(|_| {}), Box::new(lights))
}

/// A tablet that tells the machine, and its viewers, when the pointer goes where it is put.
pub(super) fn tablet(common: &Arc<Common>) -> Input {
    let common = Arc::downgrade(common);
    let driver = move |up: bool| {
        if let Some(common) = common.upgrade() {
            common.remote.set_relative(!up);
            common.tell(&MachineEvent::Pointer { absolute: up });
        }
    };
    Input::new(InputKind::Tablet, Box::new(driver), Box::new(|_| {}))
}

/// Passes input on.
pub(super) struct Router {
    legacy: Arc<dyn InputSink>,
    virtio: VirtioInput,
    /// By scan code: the key went down on the virtio keyboard, and comes up there.
    held: Mutex<[bool; 256]>,
}

impl Router {
    /// To `virtio` while its drivers are up, else to `legacy`.
    pub fn new(legacy: Arc<dyn InputSink>, virtio: VirtioInput) -> Self {
        Self {
            legacy,
            virtio,
            held: Mutex::new([false; 256]),
        }
    }

    /// The device that the event is for, if it is a virtio device.
    fn target(&self, event: &InputEvent) -> Option<&InputHandle> {
        let up = |handle: &Option<InputHandle>| handle.as_ref().is_some_and(InputHandle::is_up);
        let InputEvent::Key { code, down } = event else {
            return self.virtio.tablet.as_ref().filter(|tablet| tablet.is_up());
        };
        let mut held = self.held.lock();
        let held = held.get_mut(usize::from(code.0))?;
        let here = if *down {
            up(&self.virtio.keyboard)
        } else {
            *held
        };
        *held = here && *down;
        self.virtio.keyboard.as_ref().filter(|_| here)
    }
}

impl InputSink for Router {
    fn input(&self, event: InputEvent) {
        match self.target(&event) {
            Some(device) => device.input(event),
            None => self.legacy.input(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Buttons, ScanCode};
    use crate::virtio::testing::Driver;

    #[derive(Default)]
    struct Legacy(Mutex<Vec<InputEvent>>);

    impl InputSink for Legacy {
        fn input(&self, event: InputEvent) {
            self.0.lock().push(event);
        }
    }

    #[test]
    fn events_go_to_the_driver_that_is_up_and_keys_come_up_where_they_went_down() {
        let device = |kind| {
            let input = Input::new(kind, Box::new(|_| {}), Box::new(|_| {}));
            let handle = input.handle();
            (Driver::new(input), handle)
        };
        let (mut keyboard, keys) = device(InputKind::Keyboard);
        let (mut tablet, pointer) = device(InputKind::Tablet);
        let legacy = Arc::new(Legacy::default());
        let router = Router::new(
            legacy.clone(),
            VirtioInput {
                keyboard: Some(keys),
                tablet: Some(pointer),
            },
        );
        let key = |down| InputEvent::Key {
            code: ScanCode(0x1e),
            down,
        };
        let place = InputEvent::Position {
            x: 1,
            y: 2,
            buttons: Buttons::default(),
        };
        router.input(key(true));
        router.input(place);
        keyboard.start(0);
        tablet.start(0);
        router.input(key(false));
        assert_eq!(*legacy.0.lock(), [key(true), place, key(false)]);
        for _ in 0..4 {
            keyboard.add(0, &[], &[8]);
            tablet.add(0, &[], &[8]);
        }
        router.input(key(true));
        assert_eq!(keyboard.wait_used(0, 2).len(), 2);
        router.input(place);
        assert_eq!(tablet.wait_used(0, 3).len(), 3);
        keyboard.write(0x14, 1, 0);
        router.input(key(false));
        router.input(key(false));
        assert_eq!(
            legacy.0.lock()[3..],
            [key(false)],
            "the first was lost with the driver"
        );
    }
}
