//! The registers' places and bits. PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual, chapter 13.

pub(super) const CTRL: u32 = 0x0000;
pub(super) const STATUS: u32 = 0x0008;
pub(super) const EECD: u32 = 0x0010;
pub(super) const EERD: u32 = 0x0014;
pub(super) const CTRL_EXT: u32 = 0x0018;
pub(super) const MDIC: u32 = 0x0020;
pub(super) const VET: u32 = 0x0038;
pub(super) const ICR: u32 = 0x00c0;
pub(super) const ITR: u32 = 0x00c4;
pub(super) const ICS: u32 = 0x00c8;
pub(super) const IMS: u32 = 0x00d0;
pub(super) const IMC: u32 = 0x00d8;
pub(super) const RCTL: u32 = 0x0100;
pub(super) const TCTL: u32 = 0x0400;
pub(super) const LEDCTL: u32 = 0x0e00;
pub(super) const PBA: u32 = 0x1000;
pub(super) const RDBAL: u32 = 0x2800;
pub(super) const RDBAH: u32 = 0x2804;
pub(super) const RDLEN: u32 = 0x2808;
pub(super) const RDH: u32 = 0x2810;
pub(super) const RDT: u32 = 0x2818;
pub(super) const TDBAL: u32 = 0x3800;
pub(super) const TDBAH: u32 = 0x3804;
pub(super) const TDLEN: u32 = 0x3808;
pub(super) const TDH: u32 = 0x3810;
pub(super) const TDT: u32 = 0x3818;
pub(super) const RXCSUM: u32 = 0x5000;
pub(super) const MULTICAST: u32 = 0x5200;
pub(super) const ADDRESSES: u32 = 0x5400;
pub(super) const VLAN_FILTER: u32 = 0x5600;
pub(super) const STATISTICS: u32 = 0x4000;
pub(super) const STATISTICS_LAST: u32 = 0x40fc;

/// The size of the window with all registers.
pub(super) const WINDOW: u32 = 0x2_0000;

pub(super) mod ctrl {
    pub const SET_LINK_UP: u32 = 1 << 6;
    pub const RESET: u32 = 1 << 26;
    pub const VLAN: u32 = 1 << 30;
    pub const PHY_RESET: u32 = 1 << 31;
    /// Full duplex, speed 1000, link up.
    pub const POWER_ON: u32 = 0x0000_0241;
}

pub(super) mod status {
    pub const LINK_UP: u32 = 1 << 1;
    /// Full duplex, 1000 Mb/s as set and as detected.
    pub const FIXED: u32 = 0x0000_0281;
}

pub(super) mod cause {
    pub const TRANSMITTED: u32 = 1 << 0;
    pub const TRANSMIT_EMPTY: u32 = 1 << 1;
    pub const LINK: u32 = 1 << 2;
    pub const RECEIVE_LOW: u32 = 1 << 4;
    pub const RECEIVED: u32 = 1 << 7;
    pub const MDIO: u32 = 1 << 9;
    /// Those that there are.
    pub const ALL: u32 = 0x0001_ffdf;
}

pub(super) mod receive {
    pub const ENABLE: u32 = 1 << 1;
    pub const ALL_UNICAST: u32 = 1 << 3;
    pub const ALL_MULTICAST: u32 = 1 << 4;
    pub const LONG: u32 = 1 << 5;
    pub const BROADCAST: u32 = 1 << 15;
    pub const VLAN_FILTER: u32 = 1 << 18;
    pub const LARGE_BUFFERS: u32 = 1 << 25;
    pub const STRIP_CHECKSUM: u32 = 1 << 26;
}

pub(super) mod transmit {
    pub const ENABLE: u32 = 1 << 1;
}

/// In the receive checksum register: what is looked at.
pub(super) mod receive_checksum {
    pub const IP: u32 = 1 << 8;
    pub const TRANSPORT: u32 = 1 << 9;
}

/// Statistics, by their place. All are cleared by reading.
pub(super) mod statistic {
    pub const MISSED: u32 = 0x4010;
    pub const GOOD_RECEIVED: u32 = 0x4074;
    pub const BROADCAST_RECEIVED: u32 = 0x4078;
    pub const MULTICAST_RECEIVED: u32 = 0x407c;
    pub const GOOD_SENT: u32 = 0x4080;
    pub const OCTETS_RECEIVED: u32 = 0x4088;
    pub const OCTETS_SENT: u32 = 0x4090;
    pub const OVERSIZE_RECEIVED: u32 = 0x40ac;
    pub const ALL_OCTETS_RECEIVED: u32 = 0x40c0;
    pub const ALL_OCTETS_SENT: u32 = 0x40c8;
    pub const ALL_RECEIVED: u32 = 0x40d0;
    pub const ALL_SENT: u32 = 0x40d4;
    pub const MULTICAST_SENT: u32 = 0x40f0;
    pub const BROADCAST_SENT: u32 = 0x40f4;
    pub const SEGMENTED: u32 = 0x40f8;
}
