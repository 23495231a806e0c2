//! The machine's screen: the adapter in its slot, and what draws it.

use std::sync::Arc;

use super::StartError;
use super::board::{Board, Chipset};
use super::virtio::connections;
use crate::bus::{Shared, shared};
use crate::display::ScreenOwner;
use crate::display::vga::{PREFERRED, Renderer, Vga};
use crate::pci::{Address, Pin};
use crate::virtio::graphics::{Graphics, GraphicsFunction};

/// The adapter.
pub(super) struct Display {
    pub vga: Shared<Vga>,
    /// Whose the screen is, the VGA's or that of the adapter for the guest's driver.
    pub owner: ScreenOwner,
    /// Draws the VGA's picture.
    pub renderer: Renderer,
}

impl Display {
    /// Puts `vga` into the slot at `address`, with an adapter for the guest's driver if the definition has one.
    ///
    /// # Errors
    /// When the host has no more interrupts.
    pub fn attach(
        board: &Board<'_>,
        chipset: &dyn Chipset,
        address: Address,
        vga: Shared<Vga>,
    ) -> Result<Self, StartError> {
        let common = board.order.common;
        let renderer = Renderer::new(vga.clone(), Arc::clone(&common.surface));
        let owner = renderer.owner();
        if board.order.definition.devices.graphics {
            let looked_at = Arc::downgrade(common);
            let device = Graphics::new(
                Arc::clone(&common.surface),
                owner.clone(),
                PREFERRED,
                move || {
                    let common = looked_at.upgrade();
                    common.is_some_and(|common| !common.remote.is_relative())
                },
            );
            *common.graphics.lock() = Some(device.handle());
            let line = chipset.wiring().line("virtio graphics", address, Pin::A);
            let function = GraphicsFunction::new(device, vga.clone(), connections(board, line))?;
            board.virtio.add(function.virtio().clone());
            board.attach(address, shared(function))?;
        } else {
            board.attach(address, vga.clone())?;
        }
        Ok(Self {
            vga,
            owner,
            renderer,
        })
    }
}
