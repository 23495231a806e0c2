//! The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.

use std::net::IpAddr;

/// A sum in the making. Parts must have an even length, but for the last.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u64);

impl Sum {
    /// Adds `data`, with a zero behind it if its length is odd.
    #[must_use]
    pub fn with(mut self, data: &[u8]) -> Self {
        // Words of 64 bits in the host's order: carries are the same in any order, and the bytes are put right at the end.
        let (words, rest) = data.as_chunks::<8>();
        let mut sum = u128::from(self.0);
        for word in words {
            sum += u128::from(u64::from_ne_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        sum += u128::from(u64::from_ne_bytes(last));
        while sum >> 64 != 0 {
            sum = (sum & u128::from(u64::MAX)) + (sum >> 64);
        }
        self.0 = u64::try_from(sum).unwrap_or(u64::MAX);
        self
    }

    /// Adds the pseudo-header of TCP, UDP and ICMPv6: both addresses, the protocol and the length of what follows.
    #[must_use]
    pub fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        let add = |sum: Self, address| match address {
            IpAddr::V4(address) => sum.with(&address.octets()),
            IpAddr::V6(address) => sum.with(&address.octets()),
        };
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        add(add(self, source), destination)
            .with(&[0, protocol])
            .with(&length)
    }

    /// The sum's 16 bits as they stand in a packet, not complemented.
    pub fn folded(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap_or(u16::MAX).to_ne_bytes()
    }

    /// The checksum as it stands in a packet.
    pub fn finish(self) -> [u8; 2] {
        self.folded().map(|byte| !byte)
    }

    /// Whether what was summed up, its checksum included, is whole.
    pub fn is_valid(self) -> bool {
        self.folded() == [0xff; 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_rfc() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().with(&data).folded(), [0xdd, 0xf2]);
        let (first, second) = data.split_at(4);
        assert_eq!(
            Sum::default().with(first).with(second).finish(),
            [0x22, 0x0d]
        );
        assert_eq!(Sum::default().with(&[1]).folded(), [1, 0]);
        assert!(Sum::default().with(&data).with(&[0x22, 0x0d]).is_valid());
        let long: Vec<u8> = (0..=255).cycle().take(65_535).collect();
        let naive = long.chunks(2).fold(0_u32, |sum, pair| {
            let sum = sum + u32::from(pair[0]) * 256 + u32::from(*pair.get(1).unwrap_or(&0));
            (sum & 0xffff) + (sum >> 16)
        });
        assert_eq!(
            u32::from(u16::from_be_bytes(Sum::default().with(&long).folded())),
            naive
        );
    }
}
