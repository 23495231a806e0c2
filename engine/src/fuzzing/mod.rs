//! Fuzz targets: everything that a guest, an image or a peer on the network decides, each as a function of bytes that must do no harm
//! whatever they are. It must end, panic on no thread, and keep what is bounded within its bounds.
//!
//! Devices run on the calling thread as far as they can, so that the same bytes lead to the same course. Bytes are taken apart by
//! [`Input`]; a target's seeds are written by code that knows the same order ([`Script`]), from images of our own writers and from
//! what drivers were seen to do. `make fuzz` drives the targets by libFuzzer (`engine/fuzz`), and `cargo test` tries a fixed number
//! of mutated seeds (`bounded`).

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "none of this is part of the program"
)]

mod boards;
#[cfg(test)]
mod bounded;
mod chipset;
mod controllers;
pub(crate) mod files;
pub(crate) mod guest;
mod legacy;
#[cfg(test)]
mod numbers;
mod stored;
pub(crate) mod virtio;

#[cfg(test)]
pub(crate) use numbers::Numbers;

/// Something to be fuzzed.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Inputs that reach far.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many mutated seeds the tests try.
    pub rounds: u32,
}

macro_rules! targets {
    ($($name:ident: $run:path, $seeds:path, $rounds:expr;)*) => {
        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $run,
            seeds: $seeds,
            rounds: $rounds,
        }),*];

        #[cfg(test)]
        mod tests {
            $(#[test]
            fn $name() {
                super::bounded::run(stringify!($name));
            })*
        }
    };
}

targets! {
    qcow2: crate::disk::fuzzing::qcow2, crate::disk::fuzzing::qcow2_seeds, 500;
    qcow2_live: crate::disk::fuzzing::live, crate::disk::fuzzing::live_seeds, 500;
    qcow2_repair: crate::disk::fuzzing::repair, crate::disk::fuzzing::qcow2_seeds, 500;
    vmdk: crate::disk::fuzzing::vmdk, crate::disk::fuzzing::vmdk_seeds, 500;
    vdi: crate::disk::fuzzing::vdi, crate::disk::fuzzing::vdi_seeds, 500;
    vhd: crate::disk::fuzzing::vhd, crate::disk::fuzzing::vhd_seeds, 500;
    vhdx: crate::disk::fuzzing::vhdx, crate::disk::fuzzing::vhdx_seeds, 300;
    appliance: crate::disk::fuzzing::appliance, crate::disk::fuzzing::appliance_seeds, 500;
    backup: stored::backup, stored::backup_seeds, 300;
    definition: stored::definition, stored::definition_seeds, 2000;
    medium: stored::medium, stored::medium_seeds, 2000;
    virtio_block: virtio::block, virtio::block_seeds, 2000;
    virtio_network: virtio::network, virtio::network_seeds, 2000;
    virtio_input: virtio::input, virtio::input_seeds, 3000;
    virtio_entropy: virtio::entropy, virtio::entropy_seeds, 3000;
    virtio_balloon: virtio::balloon, virtio::balloon_seeds, 2000;
    virtio_console: virtio::console, virtio::console_seeds, 3000;
    virtio_graphics: virtio::graphics, virtio::graphics_seeds, 1000;
    ahci: controllers::ahci, controllers::ahci_seeds, 3000;
    ide: controllers::ide, controllers::ide_seeds, 3000;
    e1000: crate::network::e1000::fuzzing::run, crate::network::e1000::fuzzing::seeds, 3000;
    nat: crate::network::nat::fuzzing::run, crate::network::nat::fuzzing::seeds, 3000;
    remote: crate::remote::fuzzing::run, crate::remote::fuzzing::seeds, 2000;
    flash: chipset::flash, chipset::flash_seeds, 5000;
    firmware_configuration: chipset::firmware_configuration, chipset::firmware_configuration_seeds, 3000;
    board_440fx: boards::i440fx, boards::i440fx_seeds, 5000;
    board_q35: boards::q35, boards::q35_seeds, 3000;
    vga: legacy::vga, legacy::vga_seeds, 300;
    keyboard_controller: legacy::keyboard_controller, legacy::keyboard_controller_seeds, 10_000;
    serial: legacy::serial, legacy::serial_seeds, 10_000;
    clock: legacy::clock, legacy::clock_seeds, 10_000;
}

/// Bytes to be taken apart. Behind their end everything is zero.
pub(crate) struct Input<'a>(&'a [u8]);

macro_rules! numbers {
    ($($name:ident: $type:ty;)*) => {
        impl Input<'_> {
            $(pub(crate) fn $name(&mut self) -> $type {
                <$type>::from_le_bytes(self.array())
            })*
        }
        impl Script {
            $(pub(crate) fn $name(mut self, value: $type) -> Self {
                self.0.extend(value.to_le_bytes());
                self
            })*
        }
    };
}

numbers! {
    byte: u8;
    word: u16;
    long: u32;
    quad: u64;
}

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// What is to be done next: a byte, or nothing at the end.
    pub(crate) fn code(&mut self) -> Option<u8> {
        (!self.0.is_empty()).then(|| self.byte())
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let bytes = self.bytes(N);
        array[..bytes.len()].copy_from_slice(bytes);
        array
    }

    /// `count` bytes, or as many as there are.
    pub(crate) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// A length in a byte, and as many bytes.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let length = self.byte().into();
        self.bytes(length)
    }
}

/// Writes what an [`Input`] reads.
#[derive(Default, Clone)]
pub(crate) struct Script(Vec<u8>);

impl Script {
    pub(crate) fn code(self, code: u8) -> Self {
        self.byte(code)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Up to 255 bytes with their length.
    pub(crate) fn piece(self, bytes: &[u8]) -> Self {
        self.byte(u8::try_from(bytes.len()).unwrap()).bytes(bytes)
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}
