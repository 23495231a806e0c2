//! The IDE controller of the PIIX3: two channels with two drives each, hard disks (ATA) and CD/DVD drives (ATAPI).
//! ATA/ATAPI-6 (T13 1410D), Intel 82371SB (PIIX3) data sheet, Programming Interface for Bus Master IDE Controller 1.0.
//!
//! A register access takes its channel's lock and never waits: it changes registers and leaves a [`unit::Job`] for the drive's
//! [`DiskQueue`](crate::disk::queue::DiskQueue), which reads or writes the image with no lock held; what it brings goes on, under
//! the lock again, where the command stands: the next block for the data port, the next piece of a DMA, the end with its interrupt. What a command needs
//! from guest memory is also moved under the lock, so that nothing of a command touches memory once a reset or a stop of the
//! bus master has returned.
//!
//! - `controller`: ports and PCI function. `drives`: the handle for whoever runs the machine.
//! - `channel`: the registers both drives of a channel share. `adapter`: interrupt line and bus master. `bus_master`: PRD tables.
//! - `unit`: one drive place and its data transfer. `disk`: ATA commands (what they do is in [`ata`](super::ata)). `packet`: ATAPI.

mod adapter;
mod bus_master;
mod channel;
mod controller;
mod disk;
mod drives;
mod packet;
#[cfg(test)]
mod tests;
mod unit;

pub use controller::IdeController;
pub use drives::IdeDrives;
