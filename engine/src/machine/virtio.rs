//! The machine's virtio devices: put into the board's slots, and held while the machine stands still.

use std::sync::Arc;

use parking_lot::Mutex;

use super::board::{Board, Chipset};
use super::conductor::Message;
use super::input::{self, VirtioInput};
use super::{SerialConnection, StartError};
use crate::bus::{InterruptLine, Shared, shared};
use crate::pci::Address;
use crate::virtio::balloon::{Balloon, BalloonHandle};
use crate::virtio::console::Console;
use crate::virtio::entropy::Entropy;
use crate::virtio::{Connections, VirtioDevice, VirtioPci};

/// All virtio functions of a machine.
#[derive(Default)]
pub(super) struct VirtioCards(Mutex<Vec<Shared<VirtioPci>>>);

impl VirtioCards {
    /// One more.
    pub fn add(&self, card: Shared<VirtioPci>) {
        self.0.lock().push(card);
    }

    /// Withholds the guest's buffers from the devices, and waits until they are done with those that they have. To be called
    /// while the processors stand still.
    pub fn pause(&self) {
        for card in &*self.0.lock() {
            card.lock().pause();
        }
    }

    /// Undoes [`VirtioCards::pause`].
    pub fn resume(&self) {
        for card in &*self.0.lock() {
            card.lock().resume();
        }
    }
}

/// What whoever runs the machine needs of the devices.
#[derive(Default)]
pub(super) struct Handles {
    pub balloon: Option<BalloonHandle>,
    pub input: VirtioInput,
}

/// Puts in the devices that the definition names besides disks and network cards.
///
/// # Errors
/// When all slots are taken, or the host gives no thread.
pub(super) fn build(
    board: &Board<'_>,
    chipset: &dyn Chipset,
    console: Option<SerialConnection>,
) -> Result<Handles, StartError> {
    let wanted = board.order.definition.devices;
    if wanted.entropy {
        insert(
            board,
            chipset,
            "virtio entropy",
            Box::new(Entropy::default()),
        )?;
    }
    if wanted.console {
        let (input, output) = console.map_or((None, None), |connection| {
            (connection.input, Some(connection.output))
        });
        let device = Console::new(input, output)?;
        insert(board, chipset, "virtio console", Box::new(device))?;
    }
    let mut handles = Handles::default();
    if wanted.input {
        let keyboard = input::keyboard(board.order.common);
        handles.input.keyboard = Some(keyboard.handle());
        insert(board, chipset, "virtio keyboard", Box::new(keyboard))?;
        let tablet = input::tablet(board.order.common);
        handles.input.tablet = Some(tablet.handle());
        insert(board, chipset, "virtio tablet", Box::new(tablet))?;
    }
    if !wanted.balloon {
        return Ok(handles);
    }
    let sender = board.order.sender.clone();
    let balloon = Balloon::new(Arc::new(move || {
        // A machine that is gone needs no news.
        let _ = sender.send(Message::MemoryTold);
    }));
    handles.balloon = Some(balloon.handle());
    insert(board, chipset, "virtio balloon", Box::new(balloon))?;
    Ok(handles)
}

/// What a function whose interrupt pin ends at `line` is wired to.
pub(super) fn connections(board: &Board<'_>, line: InterruptLine) -> Connections {
    Connections {
        line,
        messages: Arc::clone(board.vm.interrupts()) as _,
        doorbells: Arc::clone(board.vm.doorbells()) as _,
        memory: board.memory.clone(),
    }
}

/// Puts `device` into the next free slot and returns where that is. `name` is what its interrupt line is called in logs.
///
/// # Errors
/// When all slots are taken, or the host has no more interrupts.
pub(super) fn insert(
    board: &Board<'_>,
    chipset: &dyn Chipset,
    name: &'static str,
    device: Box<dyn VirtioDevice>,
) -> Result<Address, StartError> {
    let mut place = None;
    let card = board.insert_card(chipset, name, |slot| {
        place = Some(slot.address);
        let connections = connections(board, slot.interrupt);
        Ok(shared(VirtioPci::new(device, connections)?))
    })?;
    board.virtio.add(card);
    place.ok_or_else(|| StartError::Internal("a card was put into no slot".to_owned()))
}
