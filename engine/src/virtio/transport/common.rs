//! The common configuration structure: features, status, and the registers of the queue that is selected. Section 4.1.4.3.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::VirtioPci;
use crate::virtio::feature;
use crate::virtio::interrupt::{NO_VECTOR, status};
use crate::virtio::queue::{Place, SharedQueue};

/// The registers' places.
mod register {
    pub const DEVICE_FEATURE_SELECT: u64 = 0x00;
    pub const DEVICE_FEATURE: usize = 0x04;
    pub const DRIVER_FEATURE_SELECT: u64 = 0x08;
    pub const DRIVER_FEATURE: u64 = 0x0c;
    pub const CONFIG_VECTOR: u64 = 0x10;
    pub const QUEUES: usize = 0x12;
    pub const STATUS: u64 = 0x14;
    pub const GENERATION: usize = 0x15;
    pub const QUEUE_SELECT: u64 = 0x16;
    pub const QUEUE_SIZE: u64 = 0x18;
    pub const QUEUE_VECTOR: u64 = 0x1a;
    pub const QUEUE_ENABLE: u64 = 0x1c;
    pub const QUEUE_DOORBELL: usize = 0x1e;
    pub const QUEUE_DESCRIPTORS: u64 = 0x20;
    pub const QUEUE_AVAILABLE: u64 = 0x28;
    pub const QUEUE_USED: u64 = 0x30;
    pub const END: usize = 0x40;
}

/// The registers of a queue.
pub(super) struct QueueRegisters {
    max: u16,
    size: u16,
    pub enabled: bool,
    descriptors: u64,
    available: u64,
    used: u64,
    /// The queue that driver and device use now.
    pub live: Option<Arc<SharedQueue>>,
    /// Where its doorbell is watched.
    pub doorbell: Option<u64>,
}

impl QueueRegisters {
    pub fn new(max: u16) -> Self {
        Self {
            max,
            size: max,
            enabled: false,
            descriptors: 0,
            available: 0,
            used: 0,
            live: None,
            doorbell: None,
        }
    }

    /// As after power-on. Its queue is dead already.
    pub fn reset(&mut self) {
        *self = Self::new(self.max);
    }

    pub fn place(&self) -> Place {
        Place {
            size: self.size,
            descriptors: self.descriptors,
            available: self.available,
            used: self.used,
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if self.enabled {
            return;
        }
        match (offset, data) {
            (register::QUEUE_SIZE, &[low, high]) => {
                let size = u16::from_le_bytes([low, high]);
                if size.is_power_of_two() && size <= self.max {
                    self.size = size;
                }
            }
            // A driver cannot disable a queue again.
            (register::QUEUE_ENABLE, &[1, 0]) => self.enabled = true,
            (register::QUEUE_DESCRIPTORS..=0x24, &[a, b, c, d]) => {
                set_half(&mut self.descriptors, offset, [a, b, c, d]);
            }
            (register::QUEUE_AVAILABLE..=0x2c, &[a, b, c, d]) => {
                set_half(&mut self.available, offset, [a, b, c, d]);
            }
            (register::QUEUE_USED..=0x34, &[a, b, c, d]) => {
                set_half(&mut self.used, offset, [a, b, c, d]);
            }
            _ => {}
        }
    }
}

/// Sets the lower or upper half of an address register, as bit 2 of `offset` says.
fn set_half(address: &mut u64, offset: u64, half: [u8; 4]) {
    let half = u64::from(u32::from_le_bytes(half));
    *address = if offset & 4 == 0 {
        *address & !0xffff_ffff | half
    } else {
        *address & 0xffff_ffff | half << 32
    };
}

/// Half number `select` of a set of features; there are none beyond the second.
fn half(features: u64, select: u32) -> u32 {
    let [a, b, c, d, e, f, g, h] = features.to_le_bytes();
    match select {
        0 => u32::from_le_bytes([a, b, c, d]),
        1 => u32::from_le_bytes([e, f, g, h]),
        _ => 0,
    }
}

impl VirtioPci {
    pub(super) fn read_common(&mut self, offset: u64, data: &mut [u8]) {
        self.finish_reset();
        let image = self.common_image();
        let start = usize::try_from(offset).unwrap_or(register::END);
        data.fill(0);
        for (to, from) in data.iter_mut().zip(image.iter().skip(start)) {
            *to = *from;
        }
    }

    fn common_image(&self) -> [u8; register::END] {
        let mut image = [0; register::END];
        let mut put = |at: usize, value: &[u8]| {
            for (to, from) in image.iter_mut().skip(at).zip(value) {
                *to = *from;
            }
        };
        let at = |register: u64| usize::try_from(register).unwrap_or(register::END);
        let queues = u16::try_from(self.queues.len()).unwrap_or(0);
        put(
            at(register::DEVICE_FEATURE_SELECT),
            &self.device_feature_select.to_le_bytes(),
        );
        put(
            register::DEVICE_FEATURE,
            &half(self.offered, self.device_feature_select).to_le_bytes(),
        );
        put(
            at(register::DRIVER_FEATURE_SELECT),
            &self.driver_feature_select.to_le_bytes(),
        );
        put(
            at(register::DRIVER_FEATURE),
            &half(self.driver_features, self.driver_feature_select).to_le_bytes(),
        );
        let config_vector = self.signals.config_vector.load(Ordering::Acquire);
        put(at(register::CONFIG_VECTOR), &config_vector.to_le_bytes());
        put(register::QUEUES, &queues.to_le_bytes());
        put(at(register::STATUS), &[self.status()]);
        put(
            register::GENERATION,
            &[self.signals.generation.load(Ordering::Acquire)],
        );
        put(at(register::QUEUE_SELECT), &self.queue_select.to_le_bytes());
        // A queue that does not exist has size 0, and all else is 0 too.
        let select = usize::from(self.queue_select);
        if let (Some(queue), Some(vector)) = (
            self.queues.get(select),
            self.signals.queue_vectors.get(select),
        ) {
            put(at(register::QUEUE_SIZE), &queue.size.to_le_bytes());
            let vector = vector.load(Ordering::Acquire);
            put(at(register::QUEUE_VECTOR), &vector.to_le_bytes());
            put(at(register::QUEUE_ENABLE), &[u8::from(queue.enabled), 0]);
            put(register::QUEUE_DOORBELL, &self.queue_select.to_le_bytes());
            put(
                at(register::QUEUE_DESCRIPTORS),
                &queue.descriptors.to_le_bytes(),
            );
            put(
                at(register::QUEUE_AVAILABLE),
                &queue.available.to_le_bytes(),
            );
            put(at(register::QUEUE_USED), &queue.used.to_le_bytes());
        }
        image
    }

    pub(super) fn write_common(&mut self, offset: u64, data: &[u8]) {
        if !self.finish_reset() {
            tracing::debug!(offset, "a driver does not wait for the end of its reset");
            return;
        }
        match (offset, data) {
            // The address registers may be written in one go.
            (_, &[a, b, c, d, e, f, g, h]) => {
                self.write_common(offset, &[a, b, c, d]);
                self.write_common(offset.saturating_add(4), &[e, f, g, h]);
            }
            (register::DEVICE_FEATURE_SELECT, &[a, b, c, d]) => {
                self.device_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (register::DRIVER_FEATURE_SELECT, &[a, b, c, d]) => {
                self.driver_feature_select = u32::from_le_bytes([a, b, c, d]);
            }
            (register::DRIVER_FEATURE, &[a, b, c, d]) => {
                if self.status() & status::FEATURES_OK == 0 && self.driver_feature_select < 2 {
                    let at = u64::from(self.driver_feature_select) * 4;
                    set_half(&mut self.driver_features, at, [a, b, c, d]);
                }
            }
            (register::CONFIG_VECTOR, &[low, high]) => {
                let vector = self.vector([low, high]);
                self.signals.config_vector.store(vector, Ordering::Release);
            }
            (register::STATUS, &[value]) => self.write_status(value),
            (register::QUEUE_SELECT, &[low, high]) => {
                self.queue_select = u16::from_le_bytes([low, high]);
            }
            (register::QUEUE_VECTOR, &[low, high]) => {
                let vector = self.vector([low, high]);
                let select = usize::from(self.queue_select);
                if let Some(register) = self.signals.queue_vectors.get(select) {
                    register.store(vector, Ordering::Release);
                }
            }
            _ => {
                if let Some(queue) = self.queues.get_mut(usize::from(self.queue_select)) {
                    queue.write(offset, data);
                }
            }
        }
    }

    /// A vector as it reads back: none if it does not exist.
    fn vector(&self, value: [u8; 2]) -> u16 {
        let vector = u16::from_le_bytes(value);
        if vector < self.signals.msix.count() {
            vector
        } else {
            NO_VECTOR
        }
    }

    fn write_status(&mut self, value: u8) {
        if value == 0 {
            self.reset_device();
            return;
        }
        let before = self.status();
        let mut set = value & !status::NEEDS_RESET;
        let acceptable = self.driver_features & !self.offered == 0
            && self.driver_features & feature::VERSION_1 != 0;
        if before & status::FEATURES_OK == 0 && !acceptable {
            // The driver sees by this that it asks for too much or for too little.
            set &= !status::FEATURES_OK;
        }
        if (before | set) & status::FEATURES_OK == 0 {
            set &= !status::DRIVER_OK;
        }
        // No bit goes away but by a reset, and the device may set one of its own at this moment.
        self.signals.status.fetch_or(set, Ordering::AcqRel);
        if set & !before & status::DRIVER_OK != 0 && before & status::NEEDS_RESET == 0 {
            self.activate();
        }
    }
}
