//! SMBIOS tables: what a guest reads the machine's make, identity and memory from (DMTF DSP0134, version 2.8).
//!
//! The firmware copies them to memory, adds the structure about itself (type 0), and fills in the address and the checksums of
//! the entry point.

use uuid::Uuid;

use crate::definition::{Generation, Topology};
use crate::memory::MemoryLayout;
use crate::memory::layout::FOUR_GIB;

/// The structures' file in fw_cfg.
pub(super) const TABLES_FILE: &str = "etc/smbios/smbios-tables";
/// The entry point's file.
pub(super) const ANCHOR_FILE: &str = "etc/smbios/smbios-anchor";

const MAKER: &str = "Guesthouse";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The value of fields that say nothing.
const UNKNOWN: u8 = 2;
const OTHER: u8 = 1;
const NO_HANDLE: u16 = 0xffff;
const NOT_GIVEN: u16 = 0xfffe;

const CHASSIS: u16 = 0x300;
const MEMORY_ARRAY: u16 = 0x1000;

/// What the structures tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) name: &'a str,
    pub(super) uuid: Uuid,
    pub(super) topology: Topology,
    pub(super) generation: Generation,
}

impl Identity<'_> {
    fn product(&self) -> &'static str {
        match self.generation {
            Generation::One => "Generation 1 machine",
            Generation::Two => "Generation 2 machine",
        }
    }
}

/// The two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SmbiosFiles {
    pub(super) anchor: Vec<u8>,
    pub(super) tables: Vec<u8>,
}

/// The structures and the entry point for a machine.
pub(super) fn smbios_files(identity: &Identity<'_>, memory: &MemoryLayout) -> SmbiosFiles {
    let mut structures = Structures::default();
    structures.system(identity);
    structures.chassis(identity);
    for (socket, handle) in (0..identity.topology.sockets).zip(0x400..MEMORY_ARRAY) {
        structures.processor(identity, socket, handle);
    }
    structures.memory(memory);
    structures.add(32, 0x2000, &[0; 7], &[]);
    structures.add(127, 0x7f00, &[], &[]);
    structures.finish()
}

#[derive(Default)]
struct Structures {
    bytes: Vec<u8>,
    count: u16,
    largest: usize,
}

impl Structures {
    /// Adds a structure: its `fields` after the header, then its strings, to which fields refer by their place from 1 on.
    fn add(&mut self, kind: u8, handle: u16, fields: &[u8], strings: &[&str]) {
        let start = self.bytes.len();
        let length = u8::try_from(fields.len() + 4).unwrap_or(u8::MAX);
        self.bytes.extend([kind, length]);
        self.bytes.extend(handle.to_le_bytes());
        self.bytes.extend(fields);
        for string in strings {
            self.bytes.extend(text(string));
            self.bytes.push(0);
        }
        if strings.is_empty() {
            self.bytes.push(0);
        }
        self.bytes.push(0);
        self.count += 1;
        self.largest = self.largest.max(self.bytes.len() - start);
    }

    fn system(&mut self, identity: &Identity<'_>) {
        const POWER_SWITCH: u8 = 6;
        let mut fields = vec![1, 2, 3, 4];
        fields.extend(identity.uuid.to_bytes_le());
        fields.extend([POWER_SWITCH, 0, 5]);
        let serial = identity.uuid.to_string();
        self.add(
            1,
            0x100,
            &fields,
            &[
                MAKER,
                identity.product(),
                VERSION,
                &serial,
                "Virtual machine",
            ],
        );
    }

    fn chassis(&mut self, identity: &Identity<'_>) {
        const SAFE: u8 = 3;
        // Maker, kind, version, serial number, asset tag, states, security, maker's word, height, cords, elements.
        let fields = [
            1, OTHER, 2, 0, 3, SAFE, SAFE, SAFE, UNKNOWN, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        let tag = match text(identity.name).is_empty() {
            true => identity.product(),
            false => identity.name,
        };
        self.add(3, CHASSIS, &fields, &[MAKER, VERSION, tag]);
    }

    fn processor(&mut self, identity: &Identity<'_>, socket: u32, handle: u16) {
        const CENTRAL: u8 = 3;
        const FAMILY_OTHER: u8 = 1;
        const ENABLED: u8 = 0x41;
        const CHARACTERISTICS: u16 = 1 << 2 | 1 << 3;
        // Socket, type, family, maker, identifier, version.
        let mut fields = vec![1, CENTRAL, FAMILY_OTHER, 2];
        fields.extend([0; 8]);
        fields.extend([3, 0]);
        // External clock, greatest and present speed: not known.
        fields.extend([0; 6]);
        fields.extend([ENABLED, OTHER]);
        for _cache in 0..3 {
            fields.extend(NO_HANDLE.to_le_bytes());
        }
        let Topology { cores, threads, .. } = identity.topology;
        let byte = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
        let (cores, threads) = (byte(cores), byte(cores.saturating_mul(threads)));
        fields.extend([0, 0, 0, cores, cores, threads]);
        fields.extend(CHARACTERISTICS.to_le_bytes());
        fields.extend(u16::from(FAMILY_OTHER).to_le_bytes());
        let place = format!("CPU {socket}");
        self.add(4, handle, &fields, &[&place, MAKER, "Virtual processor"]);
    }

    fn memory(&mut self, memory: &MemoryLayout) {
        const SYSTEM_MEMORY: u8 = 3;
        const MULTI_BIT_CORRECTION: u8 = 6;
        const RAM: u8 = 7;
        const DIMM: u8 = 9;
        const ONE_MODULE: u16 = 1;
        let size = memory.low.saturating_add(memory.high);

        let mut fields = vec![OTHER, SYSTEM_MEMORY, MULTI_BIT_CORRECTION];
        let kibibytes = u32::try_from(size >> 10)
            .ok()
            .filter(|size| *size < 0x8000_0000);
        fields.extend(kibibytes.unwrap_or(0x8000_0000).to_le_bytes());
        fields.extend(NOT_GIVEN.to_le_bytes());
        fields.extend(ONE_MODULE.to_le_bytes());
        fields.extend(kibibytes.map_or(size, |_| 0).to_le_bytes());
        self.add(16, MEMORY_ARRAY, &fields, &[]);

        let mebibytes = size >> 20;
        let short = u16::try_from(mebibytes)
            .ok()
            .filter(|size| *size < 0x7fff)
            .unwrap_or(0x7fff);
        let extended = match short {
            0x7fff => u32::try_from(mebibytes)
                .unwrap_or(u32::MAX)
                .min(0x7fff_ffff),
            _ => 0,
        };
        let mut fields = MEMORY_ARRAY.to_le_bytes().to_vec();
        fields.extend(NOT_GIVEN.to_le_bytes());
        // Total and data width: not known.
        fields.extend([0xff; 4]);
        fields.extend(short.to_le_bytes());
        // Form factor, set, locator, bank, type, details, speed, maker, serial number, asset tag, part, attributes.
        fields.extend([DIMM, 0, 1, 0, RAM, UNKNOWN, 0, 0, 0, 2, 0, 0, 0, 0]);
        fields.extend(extended.to_le_bytes());
        // Configured speed, and voltages.
        fields.extend([0; 8]);
        self.add(17, 0x1100, &fields, &["DIMM 0", MAKER]);

        let ranges = [(0, memory.low), (FOUR_GIB, memory.high)];
        for (handle, (start, size)) in (0x1300..).zip(ranges) {
            if size > 0 {
                self.mapped(handle, start, size);
            }
        }
    }

    /// Where memory of the array is: `size` bytes from `start` on.
    fn mapped(&mut self, handle: u16, start: u64, size: u64) {
        let last = start.saturating_add(size - 1);
        let kibibytes = |address: u64| {
            u32::try_from(address >> 10)
                .ok()
                .filter(|at| *at < u32::MAX)
        };
        let (short, long) = match (kibibytes(start), kibibytes(last)) {
            (Some(start), Some(last)) => ([start, last], [0, 0]),
            _ => ([u32::MAX; 2], [start, last]),
        };
        let mut fields = short.map(u32::to_le_bytes).concat();
        fields.extend(MEMORY_ARRAY.to_le_bytes());
        fields.push(1);
        fields.extend(long.map(u64::to_le_bytes).concat());
        self.add(19, handle, &fields, &[]);
    }

    fn finish(self) -> SmbiosFiles {
        let mut anchor = b"_SM_\0".to_vec();
        // Length, version, largest structure, revision.
        anchor.extend([31, 2, 8]);
        anchor.extend(
            u16::try_from(self.largest)
                .unwrap_or(u16::MAX)
                .to_le_bytes(),
        );
        anchor.extend([0; 6]);
        anchor.extend(b"_DMI_\0");
        let length = u16::try_from(self.bytes.len()).unwrap_or(u16::MAX);
        anchor.extend(length.to_le_bytes());
        anchor.extend([0; 4]);
        anchor.extend(self.count.to_le_bytes());
        anchor.push(0x28);
        SmbiosFiles {
            anchor,
            tables: self.bytes,
        }
    }
}

/// `string` as structures can hold it: ASCII, not longer than the 64 characters that old systems take.
fn text(string: &str) -> Vec<u8> {
    string
        .chars()
        .take(64)
        .map(|character| {
            u8::try_from(character)
                .ok()
                .filter(|byte| matches!(byte, b' '..=b'~'))
                .unwrap_or(b'?')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(memory: &MemoryLayout) -> SmbiosFiles {
        let identity = Identity {
            name: "Büro",
            uuid: Uuid::from_u128(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
            topology: Topology {
                sockets: 1,
                cores: 4,
                threads: 1,
            },
            generation: Generation::One,
        };
        smbios_files(&identity, memory)
    }

    /// Every structure: kind, fields with header, strings.
    fn parse(tables: &[u8]) -> Vec<(u8, Vec<u8>, Vec<String>)> {
        let mut structures = Vec::new();
        let mut rest = tables;
        while !rest.is_empty() {
            let (fields, after) = rest.split_at(usize::from(rest[1]));
            let end = after.windows(2).position(|pair| pair == [0, 0]).unwrap();
            let strings = after[..end]
                .split(|byte| *byte == 0)
                .map(|string| String::from_utf8(string.to_vec()).unwrap())
                .collect();
            structures.push((fields[0], fields.to_vec(), strings));
            rest = &after[end + 2..];
        }
        structures
    }

    #[test]
    fn the_structures_are_whole_and_the_entry_point_describes_them() {
        let files = files(&MemoryLayout::new(4 << 30));
        let structures = parse(&files.tables);
        let kinds: Vec<(u8, usize)> = structures.iter().map(|it| (it.0, it.1.len())).collect();
        // Lengths of version 2.8.
        assert_eq!(
            kinds,
            [
                (1, 27),
                (3, 22),
                (4, 42),
                (16, 23),
                (17, 40),
                (19, 31),
                (19, 31),
                (32, 11),
                (127, 4)
            ]
        );
        let anchor = &files.anchor;
        assert_eq!(
            (anchor.len(), &anchor[..4], &anchor[16..21]),
            (31, &b"_SM_"[..], &b"_DMI_"[..])
        );
        let word = |at: usize| usize::from(u16::from_le_bytes([anchor[at], anchor[at + 1]]));
        assert_eq!(word(22), files.tables.len());
        assert_eq!(word(28), structures.len());
        assert!(word(8) >= 42);
    }

    #[test]
    fn identity_and_strings_are_where_the_specification_has_them() {
        let files = files(&MemoryLayout::new(1 << 30));
        let structures = parse(&files.tables);
        let system = &structures[0];
        // The first three fields of the identifier are little endian since version 2.6.
        assert_eq!(
            system.1[8..24],
            [
                0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
                0xee, 0xff
            ]
        );
        assert_eq!(system.2[0], "Guesthouse");
        assert_eq!(structures[1].2[usize::from(structures[1].1[8]) - 1], "B?ro");
        let processor = &structures[2].1;
        assert_eq!(processor[35..38], [4, 4, 4]);
    }

    #[test]
    fn each_socket_is_told_of() {
        let identity = Identity {
            name: "Test",
            uuid: Uuid::nil(),
            topology: Topology {
                sockets: 2,
                cores: 4,
                threads: 2,
            },
            generation: Generation::One,
        };
        let files = smbios_files(&identity, &MemoryLayout::new(1 << 30));
        let structures = parse(&files.tables);
        let sockets: Vec<_> = structures.iter().filter(|it| it.0 == 4).collect();
        assert_eq!(sockets.len(), 2);
        assert_eq!(sockets[1].1[35..38], [4, 4, 8]);
        assert_eq!(sockets[1].2[0], "CPU 1");
        assert_ne!(sockets[0].1[2..4], sockets[1].1[2..4], "handles");
    }

    #[test]
    fn memory_of_any_size_is_told_in_full() {
        let gibibyte = 1 << 30;
        let find = |memory: MemoryLayout, kind: u8| -> Vec<Vec<u8>> {
            parse(&files(&memory).tables)
                .into_iter()
                .filter(|it| it.0 == kind)
                .map(|it| it.1)
                .collect()
        };
        let dword =
            |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let small = MemoryLayout::new(16 << 20);
        assert_eq!(dword(&find(small, 16)[0], 7), 0x4000);
        assert_eq!(find(small, 17)[0][12..14], [16, 0]);
        let mapped = &find(small, 19)[0];
        assert_eq!((dword(mapped, 4), dword(mapped, 8)), (0, 0x3fff));

        let large = MemoryLayout::new(5123 * gibibyte);
        let array = &find(large, 16)[0];
        assert_eq!(dword(array, 7), 0x8000_0000);
        assert_eq!(
            u64::from_le_bytes(array[15..23].try_into().unwrap()),
            5123 * gibibyte
        );
        let module = &find(large, 17)[0];
        assert_eq!(module[12..14], [0xff, 0x7f]);
        assert_eq!(dword(module, 28), 5123 * 1024);
        let mapped = &find(large, 19)[1];
        assert_eq!(dword(mapped, 4), u32::MAX);
        assert_eq!(
            u64::from_le_bytes(mapped[15..23].try_into().unwrap()),
            4 * gibibyte
        );
    }
}
