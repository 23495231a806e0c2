//! A stream-optimised VMDK (VMware's Virtual Disk Format 5.0): compressed grains in the order of the disk, each table behind its
//! grains, the directory and the footer at the end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::{Compress, Compression, FlushCompress, Status};
use parking_lot::Mutex;

use super::super::ToolError;
use super::super::copy::{Sink, Turn};
use crate::disk::formats::index;

const SECTOR: u64 = 512;
/// Bytes of a grain.
const GRAIN: u64 = 64 << 10;
/// Grains of a table.
const PER_TABLE: u64 = 512;
/// Sectors before the first grain, of which the descriptor has 20.
const OVERHEAD: u64 = 128;
const DESCRIPTOR: u64 = 20;

const MARKER_END: u32 = 0;
const MARKER_TABLE: u32 = 1;
const MARKER_DIRECTORY: u32 = 2;
const MARKER_FOOTER: u32 = 3;

struct State {
    /// The next sector to be written.
    sector: u64,
    /// The table whose grains are being written, by its number, and its entries.
    table: (u64, Vec<u32>),
    directory: Vec<u32>,
}

/// A new file, or a part of one, that becomes a stream-optimised VMDK.
pub(in crate::disk::tools) struct VmdkSink<'a> {
    file: &'a File,
    target: &'a Path,
    base: u64,
    sectors: u64,
    state: Mutex<State>,
}

impl<'a> VmdkSink<'a> {
    /// Takes `file`, which is going to be `target`, from byte `base` on, for a disk of `size` bytes.
    pub(in crate::disk::tools) fn new(
        file: &'a File,
        target: &'a Path,
        base: u64,
        size: u64,
    ) -> Self {
        Self {
            file,
            target,
            base,
            sectors: size.div_ceil(SECTOR),
            state: Mutex::new(State {
                sector: OVERHEAD,
                table: (0, Vec::new()),
                directory: vec![0; index(size.div_ceil(GRAIN * PER_TABLE))],
            }),
        }
    }

    fn put(&self, sector: u64, data: &[u8]) -> Result<(), ToolError> {
        let host = |source: io::Error| ToolError::from_host("write to", self.target, source);
        self.file
            .write_all_at(data, self.base + sector * SECTOR)
            .map_err(host)
    }

    /// The 32 bits that an entry has for a sector.
    fn entry(&self, sector: u64) -> Result<u32, ToolError> {
        u32::try_from(sector).map_err(|_| {
            ToolError::refused(
                self.target,
                "would become larger than 2 TiB, which the format cannot be",
                "export it as qcow2 instead",
            )
        })
    }

    /// Writes a marker and what it announces.
    fn announce(&self, state: &mut State, kind: u32, data: &[u8]) -> Result<u64, ToolError> {
        let sectors = (data.len() as u64).div_ceil(SECTOR);
        let mut marker = [0; 512];
        marker[..8].copy_from_slice(&sectors.to_le_bytes());
        marker[12..16].copy_from_slice(&kind.to_le_bytes());
        self.put(state.sector, &marker)?;
        let place = state.sector + 1;
        let mut padded = data.to_vec();
        padded.resize(index(sectors * SECTOR), 0);
        self.put(place, &padded)?;
        state.sector = place + sectors;
        Ok(place)
    }

    /// Writes the table whose grains are all there.
    fn end_table(&self, state: &mut State) -> Result<(), ToolError> {
        let (number, entries) = std::mem::take(&mut state.table);
        if entries.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        let place = self.announce(state, MARKER_TABLE, &bytes)?;
        let place = self.entry(place)?;
        if let Some(entry) = state.directory.get_mut(index(number)) {
            *entry = place;
        }
        Ok(())
    }

    /// Writes the directory, the footer, and the beginning; the bytes that the image takes.
    pub(in crate::disk::tools) fn finish(self, name: &str, content: u32) -> Result<u64, ToolError> {
        let mut state = self.state.lock();
        self.end_table(&mut state)?;
        let bytes: Vec<u8> = state
            .directory
            .iter()
            .flat_map(|entry| entry.to_le_bytes())
            .collect();
        let directory = self.announce(&mut state, MARKER_DIRECTORY, &bytes)?;
        self.announce(&mut state, MARKER_FOOTER, &self.header(directory))?;
        self.announce(&mut state, MARKER_END, &[])?;
        self.put(0, &self.header(u64::MAX))?;
        let mut descriptor = self.descriptor(name, content).into_bytes();
        descriptor.resize(index(DESCRIPTOR * SECTOR), 0);
        self.put(1, &descriptor)?;
        Ok(state.sector * SECTOR)
    }

    fn header(&self, directory: u64) -> [u8; 512] {
        let mut header = [0; 512];
        let mut set = |at: usize, bytes: &[u8]| {
            if let Some(place) = header.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        set(0, b"KDMV");
        set(4, &3_u32.to_le_bytes());
        // The newline test is valid, grains are compressed, there are markers.
        set(8, &0x3_0001_u32.to_le_bytes());
        set(12, &self.sectors.to_le_bytes());
        set(20, &(GRAIN / SECTOR).to_le_bytes());
        set(28, &1_u64.to_le_bytes());
        set(36, &DESCRIPTOR.to_le_bytes());
        set(44, &512_u32.to_le_bytes());
        set(56, &directory.to_le_bytes());
        set(64, &OVERHEAD.to_le_bytes());
        set(73, b"\n \r\n");
        set(77, &1_u16.to_le_bytes());
        header
    }

    fn descriptor(&self, name: &str, content: u32) -> String {
        let sectors = self.sectors;
        // The name is for people only; what could end the line or the quotes does not belong there.
        let name: String = name
            .chars()
            .filter(|character| !character.is_control() && *character != '"')
            .take(200)
            .collect();
        let cylinders = sectors.div_ceil(255 * 63).clamp(1, 65535);
        format!(
            "# Disk DescriptorFile\nversion=1\nCID={content:08x}\nparentCID=ffffffff\ncreateType=\"streamOptimized\"\n\n\
             # Extent description\nRW {sectors} SPARSE \"{name}\"\n\n\
             # The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\nddb.adapterType = \"lsilogic\"\n\
             ddb.geometry.cylinders = \"{cylinders}\"\nddb.geometry.heads = \"255\"\nddb.geometry.sectors = \"63\"\n"
        )
    }
}

impl Sink for VmdkSink<'_> {
    fn granule(&self) -> u64 {
        GRAIN
    }

    fn in_order(&self) -> bool {
        true
    }

    fn file(&self) -> (&File, &Path) {
        (self.file, self.target)
    }

    fn write(&self, turn: &Turn<'_>, offset: u64, data: &[u8]) -> Result<(), ToolError> {
        let mut deflate = Compress::new(Compression::new(6), true);
        let mut grains = Vec::new();
        for part in data.chunks(index(GRAIN)) {
            let mut whole = part.to_vec();
            whole.resize(index(GRAIN), 0);
            let mut packed = vec![0; index(GRAIN + GRAIN / 16 + 64)];
            deflate.reset();
            let status = deflate.compress(&whole, &mut packed, FlushCompress::Finish);
            if !matches!(status, Ok(Status::StreamEnd)) {
                return Err(ToolError::Panicked);
            }
            packed.truncate(index(deflate.total_out()));
            grains.push(packed);
        }
        turn.wait()?;
        let mut state = self.state.lock();
        for (number, packed) in (offset / GRAIN..).zip(&grains) {
            if state.table.0 != number / PER_TABLE {
                self.end_table(&mut state)?;
            }
            let place = self.entry(state.sector)?;
            let table = &mut state.table;
            table.0 = number / PER_TABLE;
            table.1.resize(index(PER_TABLE), 0);
            if let Some(entry) = table.1.get_mut(index(number % PER_TABLE)) {
                *entry = place;
            }
            let mut bytes = (number * GRAIN / SECTOR).to_le_bytes().to_vec();
            bytes.extend(
                u32::try_from(packed.len())
                    .unwrap_or(u32::MAX)
                    .to_le_bytes(),
            );
            bytes.extend(packed);
            bytes.resize(bytes.len().next_multiple_of(512), 0);
            self.put(state.sector, &bytes)?;
            state.sector += bytes.len() as u64 / SECTOR;
        }
        Ok(())
    }

    fn zeros(&self, _turn: &Turn<'_>, _offset: u64, _length: u64) -> Result<(), ToolError> {
        Ok(())
    }
}
