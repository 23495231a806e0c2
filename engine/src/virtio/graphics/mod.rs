//! A graphics adapter in two dimensions: pictures that the driver fills from its memory, one of them on the screen, whose size the
//! person at the machine may ask for. Section 5.7, without 3D.

mod function;
mod protocol;
mod resource;
mod screen;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

pub use self::function::GraphicsFunction;
use self::protocol::{Answer, Fields, HEADER, Header, Refusal, request};
use self::resource::{MOST_PIECES, Resources};
use self::screen::Screen;
use super::worker::Workers;
use super::{
    Activation, Chain, Connections, DeviceType, Interrupt, Piece, VirtioDevice, VirtioPci,
};
use crate::display::{ScreenOwner, Surface, edid};
use crate::memory::GuestMemory;

/// The queue of requests.
const CONTROL: usize = 0;
/// The queue of what becomes of the pointer.
const CURSOR: usize = 1;

/// The device says what its display is.
const FEATURE_IDENTIFICATION: u64 = 1 << 1;

/// In the configuration: of what has happened, what the driver has seen.
const EVENTS_SEEN: u64 = 4;
/// The display has changed.
const EVENT_DISPLAY: u32 = 1;

/// The longest request but for the pieces of memory that follow one, in bytes.
const REQUEST: usize = 64;
/// Bytes of a piece of memory in a request.
const ENTRY: u32 = 16;

/// The least and greatest edge that can be asked for, in pixels: what the display's identification can say.
const LEAST_EDGE: u32 = 320;
const MOST_EDGE: u32 = 4088;
/// Drivers have timings for widths of whole characters only.
const CHARACTER: u32 = 8;

/// What the driver has made.
struct State {
    resources: Resources,
    screen: Screen,
}

struct Shared {
    /// The size in pixels that the display prefers.
    preferred: Mutex<(u32, u32)>,
    events: AtomicU32,
    /// The way to the driver, while it is up.
    interrupt: Mutex<Option<Interrupt>>,
    state: Mutex<State>,
}

/// The device.
pub struct Graphics {
    shared: Arc<Shared>,
    workers: Workers,
}

/// The person's way to the display.
#[derive(Clone)]
pub struct GraphicsHandle(Arc<Shared>);

impl GraphicsHandle {
    /// Asks the guest for a screen of `width` by `height` pixels (320 to 4088 each, else the nearest of these), the width in steps
    /// of 8; tells whether there is a driver that hears it now. One that comes later finds it.
    pub fn ask_for_size(&self, width: u32, height: u32) -> bool {
        let width = width.clamp(LEAST_EDGE, MOST_EDGE) / CHARACTER * CHARACTER;
        let height = height.clamp(LEAST_EDGE, MOST_EDGE);
        let before = std::mem::replace(&mut *self.0.preferred.lock(), (width, height));
        let interrupt = self.0.interrupt.lock().clone();
        if before != (width, height) {
            tracing::debug!(width, height, "the guest is asked for another screen");
            if let Some(interrupt) = &interrupt {
                self.0.events.fetch_or(EVENT_DISPLAY, Ordering::AcqRel);
                interrupt.configuration_changed();
            }
        }
        interrupt.is_some()
    }
}

impl Graphics {
    /// An adapter that draws on `surface` while its driver has taken the screen from `owner`, and whose display prefers
    /// `preferred` pixels. `pointer_is_placed` says whether the person's pointer is where the guest's is.
    pub fn new(
        surface: Arc<Surface>,
        owner: ScreenOwner,
        preferred: (u32, u32),
        pointer_is_placed: impl Fn() -> bool + Send + 'static,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                preferred: Mutex::new(preferred),
                events: AtomicU32::new(0),
                interrupt: Mutex::new(None),
                state: Mutex::new(State {
                    resources: Resources::default(),
                    screen: Screen::new(surface, owner, Box::new(pointer_is_placed)),
                }),
            }),
            workers: Workers::default(),
        }
    }

    /// The person's way to it.
    pub fn handle(&self) -> GraphicsHandle {
        GraphicsHandle(Arc::clone(&self.shared))
    }
}

impl VirtioDevice for Graphics {
    fn device_type(&self) -> DeviceType {
        DeviceType::Gpu
    }

    fn features(&self) -> u64 {
        FEATURE_IDENTIFICATION
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64, 16]
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        let mut config = [0; 16];
        let events = self.shared.events.load(Ordering::Acquire);
        config[..4].copy_from_slice(&events.to_le_bytes());
        config[8] = 1;
        let from = usize::try_from(offset)
            .ok()
            .and_then(|offset| config.get(offset..));
        for (to, from) in data.iter_mut().zip(from.unwrap_or(&[])) {
            *to = *from;
        }
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        if let (EVENTS_SEEN, [a, b, c, d]) = (offset, data) {
            let seen = u32::from_le_bytes([*a, *b, *c, *d]);
            self.shared.events.fetch_and(!seen, Ordering::AcqRel);
        }
    }

    fn activate(&mut self, mut activation: Activation) -> io::Result<()> {
        *self.shared.interrupt.lock() = Some(activation.interrupt.clone());
        for number in [CONTROL, CURSOR] {
            let Some(queue) = activation.take_queue(number) else {
                continue;
            };
            let shared = Arc::clone(&self.shared);
            self.workers
                .serve("virtio-graphics", queue, move |queue, chain| {
                    let written = shared.serve(number, queue.memory(), &chain);
                    queue.complete(&chain, written);
                    true
                })?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        *self.shared.interrupt.lock() = None;
        self.shared.events.store(0, Ordering::Release);
        let mut state = self.shared.state.lock();
        state.resources = Resources::default();
        state.screen.release();
    }
}

impl Shared {
    /// Does what `chain` asks for; returns how many bytes the answer has.
    fn serve(&self, queue: usize, memory: &GuestMemory, chain: &Chain) -> u32 {
        let mut data = [0; REQUEST];
        let length = chain.read(memory, 0, &mut data);
        let mut fields = Fields(data.get(..length).unwrap_or(&[]));
        // What is no request gets no answer: there is nothing to answer to.
        let Some(header) = Header::take(&mut fields) else {
            return 0;
        };
        let outcome = if queue == CURSOR {
            self.cursor(header.kind, &mut fields)
        } else {
            self.control(header.kind, &mut fields, memory, chain)
        };
        let answer = protocol::answer(header, outcome);
        u32::try_from(chain.write(memory, 0, &answer)).unwrap_or(0)
    }

    fn control(
        &self,
        kind: u32,
        fields: &mut Fields<'_>,
        memory: &GuestMemory,
        chain: &Chain,
    ) -> Result<Answer, Refusal> {
        let (width, height) = *self.preferred.lock();
        let state = &mut *self.state.lock();
        match kind {
            request::DISPLAY_INFORMATION => return Ok(Answer::DisplayInformation(width, height)),
            request::IDENTIFICATION => {
                return match fields.long() {
                    Some(0) => Ok(Answer::Identification(edid::block(width, height))),
                    _ => Err(Refusal::Scanout),
                };
            }
            request::ATTACH_BACKING => return attach(state, fields, memory, chain),
            _ => {}
        }
        state
            .change(kind, fields, memory)
            .unwrap_or(Err(Refusal::Parameter))
            .map(|()| Answer::Done)
    }

    fn cursor(&self, kind: u32, fields: &mut Fields<'_>) -> Result<Answer, Refusal> {
        let state = &mut *self.state.lock();
        state
            .point(kind, fields)
            .unwrap_or(Err(Refusal::Parameter))
            .map(|()| Answer::Done)
    }
}

impl State {
    /// Does a request that changes something; nothing if the request is too short.
    fn change(
        &mut self,
        kind: u32,
        fields: &mut Fields<'_>,
        memory: &GuestMemory,
    ) -> Option<Result<(), Refusal>> {
        let Self { resources, screen } = self;
        Some(match kind {
            request::CREATE => {
                let (number, format) = (fields.long()?, fields.long()?);
                resources.create(number, format, fields.long()?, fields.long()?)
            }
            request::UNREFERENCE => {
                let number = fields.long()?;
                screen.forget(number);
                resources.remove(number)
            }
            request::SET_SCANOUT => {
                let part = fields.rectangle()?;
                match (fields.long()?, fields.long()?) {
                    (0, number) => screen.show(resources, number, part),
                    _ => Err(Refusal::Scanout),
                }
            }
            request::FLUSH => {
                let (part, number) = (fields.rectangle()?, fields.long()?);
                match resources.get(number) {
                    Ok(resource) if resource.has(part) => {
                        screen.flush(resources, number, part);
                        Ok(())
                    }
                    Ok(_) => Err(Refusal::Parameter),
                    Err(refusal) => Err(refusal),
                }
            }
            request::TRANSFER => {
                let (part, offset) = (fields.rectangle()?, fields.long_long()?);
                let resource = resources.get_mut(fields.long()?);
                resource.and_then(|resource| resource.fill(memory, part, offset))
            }
            request::DETACH_BACKING => resources.detach(fields.long()?),
            _ => Err(Refusal::Unspecified),
        })
    }

    /// Does a request about the pointer; nothing if the request is too short.
    fn point(&mut self, kind: u32, fields: &mut Fields<'_>) -> Option<Result<(), Refusal>> {
        let Self { resources, screen } = self;
        let (scanout, pointer) = (fields.long()?, (fields.long()?, fields.long()?));
        let _padding = fields.long()?;
        if scanout != 0 {
            return Some(Err(Refusal::Scanout));
        }
        Some(match kind {
            request::UPDATE_CURSOR => {
                let (number, hot) = (fields.long()?, (fields.long()?, fields.long()?));
                let shape = match number {
                    0 => Ok(None),
                    number => resources.get(number).map(|shape| Some((shape, hot))),
                };
                shape.map(|shape| screen.set_cursor(resources, shape, pointer))
            }
            request::MOVE_CURSOR => {
                screen.move_cursor(resources, pointer);
                Ok(())
            }
            _ => Err(Refusal::Unspecified),
        })
    }
}

/// Puts the memory that follows the request behind a picture.
fn attach(
    state: &mut State,
    fields: &mut Fields<'_>,
    memory: &GuestMemory,
    chain: &Chain,
) -> Result<Answer, Refusal> {
    let (Some(number), Some(count)) = (fields.long(), fields.long()) else {
        return Err(Refusal::Parameter);
    };
    let before = HEADER + 8;
    if count > MOST_PIECES || chain.readable_length() < before + count * ENTRY {
        return Err(Refusal::Parameter);
    }
    let mut bytes = vec![0; (count * ENTRY) as usize];
    chain.read(memory, before, &mut bytes);
    let (entries, _) = bytes.as_chunks::<16>();
    let pieces = entries.iter().map(|entry| {
        let mut fields = Fields(entry);
        Piece {
            address: fields.long_long().unwrap_or(0),
            length: fields.long().unwrap_or(0),
        }
    });
    state
        .resources
        .attach(memory, number, pieces)
        .map(|()| Answer::Done)
}
