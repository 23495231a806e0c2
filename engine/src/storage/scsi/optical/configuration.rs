//! GET CONFIGURATION: features and profiles. MMC-3 sections 5.2 and 6.6.

use crate::storage::scsi::command::Command;
use crate::storage::scsi::sense::Sense;

use super::{Interface, Optical, Response, data};

const PROFILE_CD_ROM: u16 = 0x0008;
const PROFILE_DVD_ROM: u16 = 0x0010;

struct Feature {
    code: u16,
    version: u8,
    persistent: bool,
    current: bool,
    data: Vec<u8>,
}

impl Optical {
    pub(super) fn get_configuration(&self, command: &Command) -> Result<Response, Sense> {
        let requested = command.byte(1) & 3;
        let start = command.be16(2);
        if requested == 3 {
            return Err(Sense::INVALID_FIELD);
        }
        let mut body = vec![0, 0];
        body.extend_from_slice(&self.profile().unwrap_or(0).to_be_bytes());
        for feature in self.features() {
            let included = match requested {
                0 => feature.code >= start,
                1 => feature.code >= start && feature.current,
                _ => feature.code == start,
            };
            if included {
                body.extend_from_slice(&feature.code.to_be_bytes());
                body.push(
                    (feature.version << 2)
                        | (u8::from(feature.persistent) << 1)
                        | u8::from(feature.current),
                );
                body.push(u8::try_from(feature.data.len()).unwrap_or(u8::MAX));
                body.extend_from_slice(&feature.data);
            }
        }
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let mut answer = length.to_be_bytes().to_vec();
        answer.extend_from_slice(&body);
        Ok(data(answer, usize::from(command.be16(7))))
    }

    fn profile(&self) -> Option<u16> {
        self.medium.as_ref()?;
        Some(if self.is_dvd() {
            PROFILE_DVD_ROM
        } else {
            PROFILE_CD_ROM
        })
    }

    fn features(&self) -> Vec<Feature> {
        let profile = self.profile();
        let (cd, dvd) = (
            profile == Some(PROFILE_CD_ROM),
            profile == Some(PROFILE_DVD_ROM),
        );
        let mut profiles = Vec::new();
        for (code, current) in [(PROFILE_DVD_ROM, dvd), (PROFILE_CD_ROM, cd)] {
            profiles.extend_from_slice(&code.to_be_bytes());
            profiles.extend_from_slice(&[u8::from(current), 0]);
        }
        let interface = match self.identity.interface {
            Interface::Scsi => 1,
            Interface::Atapi => 2,
        };
        let always = |code, version, data| Feature {
            code,
            version,
            persistent: true,
            current: true,
            data,
        };
        let with = |code, version, current, data| Feature {
            code,
            version,
            persistent: false,
            current,
            data,
        };
        vec![
            // Profile list.
            always(0x0000, 0, profiles),
            // Core: the physical interface.
            always(0x0001, 1, vec![0, 0, 0, interface, 0, 0, 0, 0]),
            // Morphing: events are polled.
            always(0x0002, 1, vec![0x02, 0, 0, 0]),
            // Removable medium: a tray that ejects and can be locked.
            always(0x0003, 0, vec![0x29, 0, 0, 0]),
            // Random readable: blocks of 2,048 bytes, the error recovery page is there.
            with(0x0010, 0, cd || dvd, vec![0, 0, 8, 0, 0, 1, 1, 0]),
            // Multi-read.
            with(0x001d, 0, cd, Vec::new()),
            // CD read.
            with(0x001e, 2, cd, vec![0, 0, 0, 0]),
            // DVD read.
            with(0x001f, 0, dvd, Vec::new()),
            // Power management.
            always(0x0100, 0, Vec::new()),
            // Time-out.
            always(0x0105, 0, Vec::new()),
        ]
    }
}
