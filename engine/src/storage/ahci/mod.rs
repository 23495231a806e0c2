//! The AHCI controller of the ICH9: six ports with a hard disk (ATA) or a CD/DVD drive (ATAPI) each.
//! Serial ATA AHCI 1.3.1, Intel 82801IB (ICH9) data sheet chapter 15, Serial ATA 2.6 for the frames (FIS).
//!
//! A register access takes its port's lock and never waits: it changes registers and gives the image's work to the port's
//! [`DiskQueue`](crate::disk::queue::DiskQueue), which moves data straight between image and guest memory; its completion, on a
//! thread of the queue's, takes the port's lock again and reports to the guest. A port carries out one command at a time, in the
//! order of its slots, but for the reads and writes of a disk's own queue (native command queueing): these all at once.
//!
//! - `controller`: PCI function and the registers that all ports share. `drives`: the handle for whoever runs the machine.
//! - `port`: a port's registers and what starts and stops it. `command`: one command from its slot to its end. `queued`: those
//!   that a disk queues. `list`: how guest memory holds commands and frames. `registers`: their bits.

mod command;
mod controller;
mod drives;
mod list;
mod port;
mod queued;
mod registers;
#[cfg(test)]
mod tests;

pub use controller::{AhciController, PORTS};
pub use drives::AhciDrives;
