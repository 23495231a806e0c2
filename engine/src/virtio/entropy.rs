//! A source of random numbers: the host's. Section 5.4.

use std::io;

use super::worker::Workers;
use super::{Activation, DeviceType, VirtioDevice};

/// The most bytes for one request; the driver asks again for more.
const MOST: usize = 64 << 10;

/// The device.
#[derive(Default)]
pub struct Entropy {
    workers: Workers,
}

impl VirtioDevice for Entropy {
    fn device_type(&self) -> DeviceType {
        DeviceType::Entropy
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![64]
    }

    fn activate(&mut self, mut activation: Activation) -> io::Result<()> {
        let Some(queue) = activation.take_queue(0) else {
            return Ok(());
        };
        let mut data = Vec::new();
        self.workers
            .serve("virtio-entropy", queue, move |queue, chain| {
                data.resize(MOST.min(chain.writable_length() as usize), 0);
                let written = match fill(&mut data) {
                    Ok(()) => chain.write(queue.memory(), 0, &data),
                    Err(error) => {
                        tracing::warn!(%error, "the host gives no random numbers");
                        0
                    }
                };
                queue.complete(&chain, u32::try_from(written).unwrap_or(0));
                true
            })
    }

    fn reset(&mut self) {}
}

fn fill(data: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = data.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => done += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::virtio::testing::Driver;

    #[test]
    fn requests_are_filled_up_to_a_limit() {
        let mut driver = Driver::new(Entropy::default());
        driver.start(0);
        let first = driver.request(0, &[], &[16, 16]);
        let second = driver.request(0, &[], &[16, 16]);
        assert_eq!((first.written, second.written), (32, 32));
        assert_ne!(first.data, second.data);
        assert_ne!(first.data, [0; 32]);
        assert_eq!(driver.request(0, &[], &[100_000]).written, 65536);
        assert_eq!(driver.request(0, &[b"to read"], &[]).written, 0);
    }
}
