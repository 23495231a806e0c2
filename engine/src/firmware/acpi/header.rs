//! The header that every system description table begins with.

use acpi_tables::sdt::Sdt;

/// Who made the tables.
pub(super) const OEM: [u8; 6] = *b"GUESTH";
/// Which tables these are.
pub(super) const OEM_TABLE: [u8; 8] = *b"GUESTHSE";
/// Their version.
pub(super) const OEM_REVISION: u32 = 1;
/// The size of the header, in bytes.
pub(super) const SIZE: u32 = 36;
/// Where the checksum is in it.
pub(super) const CHECKSUM: u32 = 9;

/// The table `signature` with `body` after the header, its checksum right.
pub(super) fn table(signature: [u8; 4], revision: u8, body: &[u8]) -> Vec<u8> {
    let mut table = Sdt::new(signature, SIZE, revision, OEM, OEM_TABLE, OEM_REVISION);
    table.append_slice(body);
    table.as_slice().to_vec()
}
