//! INQUIRY: who the drive is. SPC-2 sections 7.3 and 8.4.

use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::{Optical, Response, data};

const OPTICAL_DEVICE: u8 = 0x05;
const VENDOR: &[u8; 8] = b"GHOUSE  ";
const PRODUCT: &[u8; 16] = b"Guesthouse DVD  ";
const REVISION: &[u8; 4] = b"1.0 ";

impl Optical {
    pub(super) fn inquiry(&self, command: &Command) -> Result<Response, Sense> {
        let vital = command.byte(1) & 1 != 0;
        let page = command.byte(2);
        let allowed = usize::from(command.be16(3));
        if vital {
            let content = self.vital_page(page).ok_or(Sense::INVALID_FIELD)?;
            let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
            let mut answer = vec![OPTICAL_DEVICE, page];
            answer.extend_from_slice(&length.to_be_bytes());
            answer.extend_from_slice(&content);
            return Ok(data(answer, allowed));
        }
        if page != 0 || command.byte(1) & 2 != 0 {
            return Err(Sense::INVALID_FIELD);
        }
        // Removable; SPC-3; response data format 2; 31 more bytes.
        let mut answer = vec![OPTICAL_DEVICE, 0x80, 0x05, 0x02, 31, 0, 0, 0];
        answer.extend_from_slice(VENDOR);
        answer.extend_from_slice(PRODUCT);
        answer.extend_from_slice(REVISION);
        Ok(data(answer, allowed))
    }

    fn vital_page(&self, page: u8) -> Option<Vec<u8>> {
        let serial: Vec<u8> = self.identity.serial.bytes().take(20).collect();
        match page {
            0x00 => Some(vec![0x00, 0x80, 0x83]),
            0x80 => Some(serial),
            0x83 => {
                // One designator: ASCII, of the logical unit, "T10 vendor identification".
                let mut designator = VENDOR.to_vec();
                designator.extend_from_slice(PRODUCT);
                designator.extend_from_slice(&serial);
                let length = u8::try_from(designator.len()).ok()?;
                let mut content = vec![0x02, 0x01, 0x00, length];
                content.extend_from_slice(&designator);
                Some(content)
            }
            _ => None,
        }
    }
}
