//! A keyboard, or a tablet whose pointer goes where it is put. Section 5.8; events and codes are those of Linux
//! (input-event-codes.h), which the specification refers to.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::worker::Workers;
use super::{Activation, Chain, DeviceType, Queue, SharedQueue, VirtioDevice};
use crate::input::{Buttons, InputEvent, Lights, ScanCode};

const EVENTS: usize = 0;
const STATUS: usize = 1;
/// Bytes of an event: type, code, value.
const EVENT: usize = 8;
/// How many events wait for a guest that does not fetch them.
const WAITING: usize = 256;

/// Types of events.
mod kind {
    pub const SYNCHRONIZE: u16 = 0x00;
    pub const KEY: u16 = 0x01;
    pub const RELATIVE: u16 = 0x02;
    pub const ABSOLUTE: u16 = 0x03;
    pub const LED: u16 = 0x11;
    pub const REPEAT: u16 = 0x14;
}

const WHEEL: u16 = 8;
const AXIS_X: u16 = 0;
const AXIS_Y: u16 = 1;
/// The greatest place on an axis of the tablet.
const AXIS_END: u32 = 0x7fff;
const BUTTON_LEFT: u16 = 0x110;
const BUTTON_RIGHT: u16 = 0x111;
const BUTTON_MIDDLE: u16 = 0x112;
const LED_NUM_LOCK: u16 = 0;
const LED_CAPS_LOCK: u16 = 1;
const LED_SCROLL_LOCK: u16 = 2;

/// What the driver asks for in the configuration.
mod select {
    pub const NAME: u8 = 0x01;
    pub const SERIAL: u8 = 0x02;
    pub const IDENTIFIERS: u8 = 0x03;
    pub const EVENT_BITS: u8 = 0x11;
    pub const AXIS: u8 = 0x12;
}

/// The keys with prefix 0xE0, by their scan code without bit 7; the others have the same number in both worlds.
const EXTENDED: &[(u8, u16)] = &[
    (0x10, 165),
    (0x19, 163),
    (0x1c, 96),
    (0x1d, 97),
    (0x20, 113),
    (0x21, 140),
    (0x22, 164),
    (0x24, 166),
    (0x2e, 114),
    (0x30, 115),
    (0x32, 172),
    (0x35, 98),
    (0x37, 99),
    (0x38, 100),
    (0x46, 119),
    (0x47, 102),
    (0x48, 103),
    (0x49, 104),
    (0x4b, 105),
    (0x4d, 106),
    (0x4f, 107),
    (0x50, 108),
    (0x51, 109),
    (0x52, 110),
    (0x53, 111),
    (0x5b, 125),
    (0x5c, 126),
    (0x5d, 127),
    (0x5e, 116),
    (0x5f, 142),
    (0x63, 143),
    (0x65, 217),
    (0x66, 156),
    (0x67, 173),
    (0x68, 128),
    (0x69, 159),
    (0x6a, 158),
    (0x6c, 155),
    (0x6d, 226),
];
/// The keys of Japanese and Brazilian keyboards, whose numbers differ without a prefix too.
const OTHERS: &[(u8, u16)] = &[
    (0x70, 93),
    (0x73, 89),
    (0x79, 92),
    (0x7b, 94),
    (0x7d, 124),
    (0x7e, 121),
];

/// The number that Linux gives a key; none if it is not on any keyboard.
fn key_code(ScanCode(code): ScanCode) -> Option<u16> {
    let find = |table: &[(u8, u16)], code| {
        let found = table.iter().find(|(scan, _)| *scan == code);
        found.map(|(_, key)| *key)
    };
    match code {
        0x80.. => find(EXTENDED, code & 0x7f),
        0x01..=0x53 | 0x56..=0x58 => Some(u16::from(code)),
        _ => find(OTHERS, code),
    }
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A keyboard with lights.
    Keyboard,
    /// An absolute pointer with three buttons and a wheel.
    Tablet,
}

type Event = (u16, u16, u32);

#[derive(Default)]
struct Pending {
    events: VecDeque<Event>,
    /// The queue to be woken when there are some, while the driver is up.
    queue: Option<Arc<SharedQueue>>,
    buttons: Buttons,
}

/// Called when the driver comes or goes.
pub type DriverObserver = Box<dyn Fn(bool) + Send + Sync>;
/// Called when the guest switches the keyboard's lights.
pub type LightsObserver = Box<dyn Fn(Lights) + Send + Sync>;

struct Shared {
    kind: InputKind,
    pending: Mutex<Pending>,
    lights: Mutex<Lights>,
    driver: DriverObserver,
    lights_changed: LightsObserver,
}

/// A handle on the device for whoever routes input.
#[derive(Clone)]
pub struct InputHandle(Arc<Shared>);

impl InputHandle {
    /// Whether the guest's driver is up.
    pub fn is_up(&self) -> bool {
        self.0.pending.lock().queue.is_some()
    }

    /// Takes what the device can tell its guest; what the guest does not fetch in time is dropped.
    pub fn input(&self, event: InputEvent) {
        let mut pending = self.0.pending.lock();
        let Some(queue) = pending.queue.clone() else {
            return;
        };
        let mut events = self.0.events(&mut pending, event);
        if events.is_empty() {
            return;
        }
        events.push((kind::SYNCHRONIZE, 0, 0));
        if pending.events.len() + events.len() <= WAITING {
            pending.events.extend(events);
        }
        drop(pending);
        queue.wake();
    }
}

impl Shared {
    fn events(&self, pending: &mut Pending, event: InputEvent) -> Vec<Event> {
        let mut events = Vec::new();
        match (self.kind, event) {
            (InputKind::Keyboard, InputEvent::Key { code, down }) => {
                events.extend(key_code(code).map(|code| (kind::KEY, code, u32::from(down))));
            }
            (InputKind::Tablet, InputEvent::Position { x, y, buttons }) => {
                events.push((kind::ABSOLUTE, AXIS_X, u32::from(x / 2)));
                events.push((kind::ABSOLUTE, AXIS_Y, u32::from(y / 2)));
                change_buttons(&mut events, pending, buttons);
            }
            // The place is not known, the buttons are.
            (InputKind::Tablet, InputEvent::Motion { buttons, .. }) => {
                change_buttons(&mut events, pending, buttons);
            }
            (InputKind::Tablet, InputEvent::Wheel { notches }) => {
                let up = notches.saturating_neg().cast_unsigned();
                events.push((kind::RELATIVE, WHEEL, up));
            }
            _ => {}
        }
        events
    }

    /// The types of events, and of each the codes.
    fn codes(&self, event_type: u16) -> Vec<u16> {
        let tablet = self.kind == InputKind::Tablet;
        match event_type {
            kind::KEY if tablet => vec![BUTTON_LEFT, BUTTON_RIGHT, BUTTON_MIDDLE],
            kind::KEY => (1..=255)
                .filter_map(|code| key_code(ScanCode(code)))
                .collect(),
            kind::RELATIVE if tablet => vec![WHEEL],
            kind::ABSOLUTE if tablet => vec![AXIS_X, AXIS_Y],
            kind::LED if !tablet => vec![LED_NUM_LOCK, LED_CAPS_LOCK, LED_SCROLL_LOCK],
            // It repeats keys itself.
            kind::REPEAT if !tablet => vec![0, 1],
            _ => Vec::new(),
        }
    }

    /// Fills a buffer of the driver's with an event; if there is none, the buffer waits.
    fn give(&self, queue: &mut Queue, chain: &Chain) -> bool {
        let Some((event_type, code, value)) = self.pending.lock().events.pop_front() else {
            queue.undo_pop();
            return false;
        };
        let mut data = [0; EVENT];
        let bytes = event_type
            .to_le_bytes()
            .into_iter()
            .chain(code.to_le_bytes())
            .chain(value.to_le_bytes());
        for (to, from) in data.iter_mut().zip(bytes) {
            *to = from;
        }
        let written = chain.write(queue.memory(), 0, &data);
        queue.complete(chain, u32::try_from(written).unwrap_or(0));
        true
    }

    /// The driver switches a light.
    fn status(&self, queue: &mut Queue, chain: &Chain) {
        if let Some([t0, t1, c0, c1, value, ..]) = chain.read_array::<EVENT>(queue.memory(), 0)
            && u16::from_le_bytes([t0, t1]) == kind::LED
        {
            let mut lights = self.lights.lock();
            let before = *lights;
            match u16::from_le_bytes([c0, c1]) {
                LED_NUM_LOCK => lights.num_lock = value != 0,
                LED_CAPS_LOCK => lights.caps_lock = value != 0,
                LED_SCROLL_LOCK => lights.scroll_lock = value != 0,
                _ => {}
            }
            let after = *lights;
            drop(lights);
            if after != before {
                (self.lights_changed)(after);
            }
        }
        queue.complete(chain, 0);
    }
}

fn change_buttons(events: &mut Vec<Event>, pending: &mut Pending, buttons: Buttons) {
    let before = std::mem::replace(&mut pending.buttons, buttons);
    for (code, was, is) in [
        (BUTTON_LEFT, before.left, buttons.left),
        (BUTTON_RIGHT, before.right, buttons.right),
        (BUTTON_MIDDLE, before.middle, buttons.middle),
    ] {
        if was != is {
            events.push((kind::KEY, code, u32::from(is)));
        }
    }
}

/// The device.
pub struct Input {
    shared: Arc<Shared>,
    select: u8,
    subselect: u8,
    workers: Workers,
}

impl Input {
    /// A keyboard or a tablet. `driver` hears when the guest's driver comes and goes, `lights_changed` what it does to the
    /// keyboard's lights; both are called with the device's lock held and must not wait for anything.
    pub fn new(kind: InputKind, driver: DriverObserver, lights_changed: LightsObserver) -> Self {
        Self {
            shared: Arc::new(Shared {
                kind,
                pending: Mutex::default(),
                lights: Mutex::default(),
                driver,
                lights_changed,
            }),
            select: 0,
            subselect: 0,
            workers: Workers::default(),
        }
    }

    /// A handle that goes on after the device was put into the machine.
    pub fn handle(&self) -> InputHandle {
        InputHandle(Arc::clone(&self.shared))
    }

    /// What is selected in the configuration.
    fn selected(&self) -> Vec<u8> {
        let shared = &self.shared;
        match (self.select, self.subselect) {
            (select::NAME, 0) => match shared.kind {
                InputKind::Keyboard => b"Guesthouse keyboard".to_vec(),
                InputKind::Tablet => b"Guesthouse tablet".to_vec(),
            },
            (select::SERIAL, 0) => b"0".to_vec(),
            (select::IDENTIFIERS, 0) => {
                // Bus virtual, the maker's number of virtio, product, version.
                let product = match shared.kind {
                    InputKind::Keyboard => 1,
                    InputKind::Tablet => 3,
                };
                [0x06_u16, 0x1af4, product, 1]
                    .iter()
                    .flat_map(|number| number.to_le_bytes())
                    .collect()
            }
            (select::EVENT_BITS, event_type) => bitmap(&shared.codes(u16::from(event_type))),
            (select::AXIS, 0 | 1) if shared.kind == InputKind::Tablet => {
                // From, to, fuzz, flat, resolution.
                [0, AXIS_END, 0, 0, 0]
                    .iter()
                    .flat_map(|number| number.to_le_bytes())
                    .collect()
            }
            _ => Vec::new(),
        }
    }
}

/// A bit for each of `bits`, in as few bytes as hold them.
fn bitmap(bits: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for bit in bits {
        let at = usize::from(bit / 8);
        if bytes.len() <= at {
            bytes.resize(at + 1, 0);
        }
        if let Some(byte) = bytes.get_mut(at) {
            *byte |= 1 << (bit % 8);
        }
    }
    bytes
}

impl VirtioDevice for Input {
    fn device_type(&self) -> DeviceType {
        DeviceType::Input
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64, 64]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let selected = self.selected();
        let size = u8::try_from(selected.len()).unwrap_or(128);
        let header = [self.select, self.subselect, size, 0, 0, 0, 0, 0];
        let config = header.iter().chain(&selected);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (to, from) in data.iter_mut().zip(config.skip(start)) {
            *to = *from;
        }
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        match (offset, data) {
            (0, &[select]) => self.select = select,
            (1, &[subselect]) => self.subselect = subselect,
            (0, &[select, subselect, ..]) => {
                self.select = select;
                self.subselect = subselect;
            }
            _ => {}
        }
    }

    fn activate(&mut self, mut activation: Activation) -> io::Result<()> {
        if let Some(queue) = activation.take_queue(STATUS) {
            let shared = Arc::clone(&self.shared);
            self.workers
                .serve("virtio-input", queue, move |queue, chain| {
                    shared.status(queue, &chain);
                    true
                })?;
        }
        if let Some(queue) = activation.take_queue(EVENTS) {
            let (shared, origin) = (Arc::clone(&self.shared), Arc::clone(&queue));
            self.workers
                .serve("virtio-input", queue, move |queue, chain| {
                    shared.give(queue, &chain)
                })?;
            self.shared.pending.lock().queue = Some(origin);
            (self.shared.driver)(true);
        }
        Ok(())
    }

    fn reset(&mut self) {
        let was = std::mem::take(&mut *self.shared.pending.lock());
        (self.select, self.subselect) = (0, 0);
        if was.queue.is_some() {
            (self.shared.driver)(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Receiver, unbounded};

    use super::*;
    use crate::virtio::testing::{Driver, Used};

    fn device(kind: InputKind) -> (Driver, InputHandle, Receiver<bool>, Receiver<Lights>) {
        let ((up, ups), (light, lights)) = (unbounded(), unbounded());
        let input = Input::new(
            kind,
            Box::new(move |is| up.send(is).unwrap()),
            Box::new(move |now| light.send(now).unwrap()),
        );
        let handle = input.handle();
        (Driver::new(input), handle, ups, lights)
    }

    fn event(used: &Used) -> (u16, u16, i32) {
        let data: [u8; 8] = used.data.clone().try_into().unwrap();
        let [t0, t1, c0, c1, v @ ..] = data;
        (
            u16::from_le_bytes([t0, t1]),
            u16::from_le_bytes([c0, c1]),
            i32::from_le_bytes(v),
        )
    }

    fn selected(driver: &mut Driver, select: u64, subselect: u64) -> Vec<u8> {
        driver.write(0x2000, 1, select);
        driver.write(0x2001, 1, subselect);
        let size = usize::from(driver.config::<1>(2)[0]);
        driver.config::<128>(8)[..size].to_vec()
    }

    #[test]
    fn keys_have_the_numbers_that_linux_gives_them() {
        for (scan, key) in [
            (0x01, Some(1)),
            (0x1e, Some(30)),
            (0x53, Some(83)),
            (0x54, None),
            (0x56, Some(86)),
            (0x58, Some(88)),
            (0x9d, Some(97)),
            (0xb7, Some(99)),
            (0xc6, Some(119)),
            (0xc8, Some(103)),
            (0xdb, Some(125)),
            (0xff, None),
            (0x00, None),
            (0x80, None),
            (0x7d, Some(124)),
        ] {
            assert_eq!(key_code(ScanCode(scan)), key, "{scan:#x}");
        }
    }

    #[test]
    fn a_keyboard_says_what_it_is_and_sends_keys() {
        let (mut driver, handle, ups, lights) = device(InputKind::Keyboard);
        assert_eq!(selected(&mut driver, 1, 0), b"Guesthouse keyboard");
        assert_eq!(selected(&mut driver, 0x11, 0x11), [7]);
        let keys = selected(&mut driver, 0x11, 1);
        assert_eq!((keys[0], keys[1], keys[15] & 0x20), (0xfe, 0xff, 0x20));
        assert_eq!(selected(&mut driver, 0x11, 3), b"");
        assert_eq!(selected(&mut driver, 0x77, 0x77), b"");
        let key = |code, down| InputEvent::Key {
            code: ScanCode(code),
            down,
        };
        handle.input(key(0x1e, true));
        assert!(!handle.is_up());
        driver.start(0);
        assert_eq!(ups.try_recv(), Ok(true));
        for _ in 0..4 {
            driver.add(0, &[], &[8]);
        }
        driver.kick(0);
        handle.input(key(0x1e, true));
        handle.input(key(0x1e, false));
        handle.input(key(0xff, true));
        let used = driver.wait_used(0, 4);
        let events: Vec<_> = used.iter().map(event).collect();
        assert_eq!(events, [(1, 30, 1), (0, 0, 0), (1, 30, 0), (0, 0, 0)]);
        driver.request(1, &[&[0x11, 0, 1, 0, 1, 0, 0, 0]], &[]);
        assert!(lights.try_recv().unwrap().caps_lock);
        driver.write(0x14, 1, 0);
        assert_eq!(ups.try_recv(), Ok(false));
        assert!(!handle.is_up());
    }

    #[test]
    fn a_tablet_puts_the_pointer_where_it_is() {
        let (mut driver, handle, _ups, _lights) = device(InputKind::Tablet);
        assert_eq!(selected(&mut driver, 0x11, 3), [3]);
        assert_eq!(selected(&mut driver, 0x12, 1)[4..8], [0xff, 0x7f, 0, 0]);
        assert_eq!(selected(&mut driver, 0x11, 1)[34], 7);
        driver.start(0);
        let buttons = Buttons {
            left: true,
            ..Buttons::default()
        };
        handle.input(InputEvent::Position {
            x: 0xffff,
            y: 0x8000,
            buttons,
        });
        handle.input(InputEvent::Wheel { notches: 2 });
        for _ in 0..6 {
            driver.add(0, &[], &[8]);
        }
        driver.kick(0);
        let used = driver.wait_used(0, 6);
        let events: Vec<_> = used.iter().map(event).collect();
        assert_eq!(
            events,
            [
                (3, 0, 0x7fff),
                (3, 1, 0x4000),
                (1, 0x110, 1),
                (0, 0, 0),
                (2, 8, -2),
                (0, 0, 0)
            ]
        );
    }

    #[test]
    fn a_guest_that_fetches_nothing_costs_nothing() {
        let (mut driver, handle, _ups, _lights) = device(InputKind::Keyboard);
        driver.start(0);
        for _ in 0..10_000 {
            handle.input(InputEvent::Key {
                code: ScanCode(0x1e),
                down: true,
            });
        }
        assert_eq!(handle.0.pending.lock().events.len(), WAITING);
    }
}
