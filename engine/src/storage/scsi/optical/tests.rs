//! Answers to each command, after MMC-3 and SPC-2.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::disk::ImageError;

/// A disc of a size, all zero.
struct Disc(u64);

impl Image for Disc {
    fn size(&self) -> u64 {
        self.0
    }
    fn read_only(&self) -> bool {
        true
    }
    fn file(&self) -> &Path {
        Path::new("disc")
    }
    fn read_at(&self, _offset: u64, data: &mut [u8]) -> Result<(), ImageError> {
        data.fill(0);
        Ok(())
    }
    fn write_at(&self, _offset: u64, _data: &[u8]) -> Result<(), ImageError> {
        Ok(())
    }
    fn flush(&self) -> Result<(), ImageError> {
        Ok(())
    }
}

/// A drive with a disc of `sectors`, the unit attention of power-on taken.
fn drive(sectors: Option<u64>) -> Optical {
    let identity = Identity {
        serial: "SERIAL-1".into(),
        interface: Interface::Atapi,
    };
    let medium = sectors.map(|sectors| Arc::new(Disc(sectors * SECTOR)) as Arc<dyn Image>);
    let mut drive = Optical::new(identity, medium);
    assert_eq!(sense(&mut drive, &[0]), Sense::POWER_ON);
    drive
}

fn answer(drive: &mut Optical, command: &[u8]) -> Vec<u8> {
    match drive.execute(&Command::new(command)) {
        Response::Good => Vec::new(),
        Response::Data(data) => data,
        Response::Read(_) => panic!("{command:x?} reads"),
        Response::Parameters(_) => panic!("{command:x?} takes parameters"),
        Response::Failed(sense) => panic!("{command:x?} fails: {sense:?}"),
    }
}

fn sense(drive: &mut Optical, command: &[u8]) -> Sense {
    match drive.execute(&Command::new(command)) {
        Response::Failed(sense) => sense,
        _ => panic!("{command:x?} succeeds"),
    }
}

fn range(drive: &mut Optical, command: &[u8]) -> (u64, u64) {
    match drive.execute(&Command::new(command)) {
        Response::Read(read) => (read.offset, read.length),
        Response::Failed(sense) => panic!("{command:x?} fails: {sense:?}"),
        _ => panic!("{command:x?} does not read"),
    }
}

#[test]
fn inquiry_and_its_vital_pages() {
    let mut drive = drive(None);
    let standard = answer(&mut drive, &[0x12, 0, 0, 0, 255]);
    assert_eq!(standard[..8], [5, 0x80, 5, 2, 31, 0, 0, 0]);
    assert_eq!(&standard[8..36], b"GHOUSE  Guesthouse DVD  1.0 ");
    assert_eq!(answer(&mut drive, &[0x12, 0, 0, 0, 4]), [5, 0x80, 5, 2]);
    assert_eq!(
        answer(&mut drive, &[0x12, 1, 0, 0, 255]),
        [5, 0, 0, 3, 0x00, 0x80, 0x83]
    );
    assert_eq!(
        answer(&mut drive, &[0x12, 1, 0x80, 0, 255]),
        b"\x05\x80\x00\x08SERIAL-1"
    );
    let page = answer(&mut drive, &[0x12, 1, 0x83, 0, 255]);
    assert_eq!(page[..8], [5, 0x83, 0, 36, 2, 1, 0, 32]);
    assert_eq!(&page[8..], b"GHOUSE  Guesthouse DVD  SERIAL-1");
    for bad in [
        [0x12, 1, 0x81, 0, 255],
        [0x12, 0, 1, 0, 255],
        [0x12, 2, 0, 0, 255],
    ] {
        assert_eq!(sense(&mut drive, &bad), Sense::INVALID_FIELD);
    }
}

#[test]
fn unit_attention_is_told_once_and_lets_questions_pass() {
    let mut drive = drive(Some(100));
    drive.reset();
    answer(&mut drive, &[0x12, 0, 0, 0, 36]);
    answer(&mut drive, &[0x46, 0, 0, 0, 0, 0, 0, 0, 8]);
    answer(&mut drive, &[0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]);
    let told = answer(&mut drive, &[3, 0, 0, 0, 18]);
    assert_eq!((told[0], told[2], told[7], told[12]), (0x70, 6, 10, 0x29));
    answer(&mut drive, &[0]);
    assert_eq!(answer(&mut drive, &[3, 0, 0, 0, 18])[2], 0);
    // Sense lasts until it is asked for or another command comes.
    assert_eq!(sense(&mut drive, &[0xff]), Sense::INVALID_COMMAND);
    assert_eq!(answer(&mut drive, &[3, 0, 0, 0, 255])[12], 0x20);
    assert_eq!(sense(&mut drive, &[0xff]), Sense::INVALID_COMMAND);
    answer(&mut drive, &[0]);
    assert_eq!(answer(&mut drive, &[3, 0, 0, 0, 18])[12], 0);
}

#[test]
fn reads_stay_on_the_medium() {
    let mut drive = drive(Some(100));
    assert_eq!(
        range(&mut drive, &[0x28, 0, 0, 0, 0, 16, 0, 0, 1]),
        (16 * 2048, 2048)
    );
    assert_eq!(
        range(&mut drive, &[0xa8, 0, 0, 0, 0, 90, 0, 0, 0, 10]),
        (90 * 2048, 10 * 2048)
    );
    assert_eq!(
        range(&mut drive, &[0xbe, 0, 0, 0, 0, 5, 0, 0, 3, 0x10]),
        (5 * 2048, 3 * 2048)
    );
    // Whole sectors, and headers only.
    assert_eq!(
        range(&mut drive, &[0xbe, 0, 0, 0, 0, 5, 0, 0, 3, 0xf8]),
        (5 * 2352, 3 * 2352)
    );
    assert_eq!(
        range(&mut drive, &[0xb9, 8, 0, 0, 2, 10, 0, 2, 20, 0x20]),
        (10 * 4, 10 * 4)
    );
    // 0:2:10 to 0:2:20 is sectors 10 to 19.
    assert_eq!(
        range(&mut drive, &[0xb9, 8, 0, 0, 2, 10, 0, 2, 20, 0x10]),
        (10 * 2048, 10 * 2048)
    );
    assert!(answer(&mut drive, &[0x28, 0, 0, 0, 0, 100, 0, 0, 0]).is_empty());
    assert!(answer(&mut drive, &[0xbe, 0, 0, 0, 0, 5, 0, 0, 3, 0]).is_empty());
    for beyond in [
        &[0x28, 0, 0, 0, 0, 99, 0, 0, 2][..],
        &[0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff],
        &[0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
        &[0xbe, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10],
        &[0xbe, 0, 0, 0, 0, 99, 0, 0, 2, 0xf8],
        &[0xb9, 0, 0, 0, 0, 0, 0, 2, 20, 0x10],
        &[0x2b, 0, 0, 0, 0, 100],
    ] {
        assert_eq!(
            sense(&mut drive, beyond),
            Sense::ADDRESS_OUT_OF_RANGE,
            "{beyond:x?}"
        );
    }
    for wrong in [
        &[0xbe, 0, 0, 0, 0, 5, 0, 0, 3, 0x90][..],
        &[0xbe, 4, 0, 0, 0, 5, 0, 0, 3, 0x10],
        &[0xbe, 0, 0, 0, 0, 5, 0, 0, 3, 0x10, 1],
        &[0xb9, 0, 0, 0, 2, 20, 0, 2, 10, 0x10],
    ] {
        assert_eq!(sense(&mut drive, wrong), Sense::INVALID_FIELD, "{wrong:x?}");
    }
    let mut dvd = self::drive(Some(400_000));
    let whole = [0xbe, 0, 0, 0, 0, 5, 0, 0, 3, 0xf8];
    assert_eq!(sense(&mut dvd, &whole), Sense::ILLEGAL_MODE_FOR_TRACK);
    assert_eq!(drive.read_failed(), Sense::UNRECOVERED_READ_ERROR);
    assert_eq!(answer(&mut drive, &[3, 0, 0, 0, 18])[2], 3);
}

#[test]
fn the_table_of_contents_in_its_formats() {
    let mut drive = drive(Some(100));
    let toc = |drive: &mut Optical, times: u8, format: u8, start: u8| {
        answer(drive, &[0x43, times, format, 0, 0, 0, start, 0, 255])
    };
    let track = [0, 0x14, 1, 0, 0, 0, 0, 0];
    let lead_out = [0, 0x14, 0xaa, 0, 0, 0, 0, 100];
    assert_eq!(
        toc(&mut drive, 0, 0, 0),
        [&[0, 18, 1, 1][..], &track, &lead_out].concat()
    );
    assert_eq!(
        toc(&mut drive, 0, 0, 0xaa),
        [&[0, 10, 1, 1][..], &lead_out].concat()
    );
    assert_eq!(
        toc(&mut drive, 2, 0, 1),
        [
            0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0, 0, 0x14, 0xaa, 0, 0, 0, 3, 25
        ]
    );
    assert_eq!(
        toc(&mut drive, 0, 1, 0),
        [&[0, 10, 1, 1][..], &track].concat()
    );
    let full = toc(&mut drive, 2, 2, 0);
    assert_eq!(full.len(), 4 + 4 * 11);
    let points: Vec<u8> = full[4..].chunks(11).map(|entry| entry[3]).collect();
    assert_eq!(points, [0xa0, 0xa1, 0xa2, 1]);
    assert_eq!(
        full[4 + 22..4 + 33],
        [1, 0x14, 0, 0xa2, 0, 0, 0, 0, 0, 3, 25]
    );
    // The older place of the format, and a cut answer.
    assert_eq!(
        answer(&mut drive, &[0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40]),
        [&[0, 10, 1, 1][..], &track].concat()
    );
    assert_eq!(
        answer(&mut drive, &[0x43, 0, 0, 0, 0, 0, 0, 0, 4]),
        [0, 18, 1, 1]
    );
    for wrong in [
        [0x43, 0, 3, 0, 0, 0, 0, 0, 4],
        [0x43, 0, 0, 0, 0, 0, 2, 0, 4],
    ] {
        assert_eq!(sense(&mut drive, &wrong), Sense::INVALID_FIELD);
    }
}

#[test]
fn the_profile_follows_the_medium() {
    for (sectors, profile) in [(None, 0), (Some(360_000), 8), (Some(360_001), 0x10)] {
        let mut drive = drive(sectors);
        let all = answer(&mut drive, &[0x46, 0, 0, 0, 0, 0, 0, 4, 0]);
        assert_eq!(u16::from_be_bytes([all[6], all[7]]), profile);
        let length = u32::from_be_bytes([all[0], all[1], all[2], all[3]]);
        assert_eq!(usize::try_from(length).unwrap(), all.len() - 4);
        let mut codes = Vec::new();
        let mut rest = &all[8..];
        while let [high, low, _, extra, ..] = rest {
            codes.push(u16::from_be_bytes([*high, *low]));
            rest = &rest[4 + usize::from(*extra)..];
        }
        assert_eq!(codes, [0, 1, 2, 3, 0x10, 0x1d, 0x1e, 0x1f, 0x100, 0x105]);
        let one = answer(&mut drive, &[0x46, 2, 0, 3, 0, 0, 0, 4, 0]);
        assert_eq!(one[8..], [0, 3, 3, 4, 0x29, 0, 0, 0]);
        let current = answer(&mut drive, &[0x46, 1, 0, 0x1e, 0, 0, 0, 4, 0]);
        assert_eq!(current[8..10] == [0, 0x1e], profile == 8);
        assert_eq!(
            sense(&mut drive, &[0x46, 3, 0, 0, 0, 0, 0, 4, 0]),
            Sense::INVALID_FIELD
        );
    }
}

#[test]
fn mode_pages_and_what_can_be_changed_of_them() {
    let mut drive = drive(Some(100));
    let all = answer(&mut drive, &[0x5a, 0, 0x3f, 0, 0, 0, 0, 4, 0]);
    assert_eq!(
        usize::from(u16::from_be_bytes([all[0], all[1]])),
        all.len() - 2
    );
    assert_eq!(all.len(), 8 + 12 + 8 + 16 + 22);
    let capabilities = answer(&mut drive, &[0x5a, 0, 0x2a, 0, 0, 0, 0, 4, 0]);
    assert_eq!(
        (capabilities[8], capabilities[9], capabilities[14]),
        (0x2a, 20, 0x29)
    );
    answer(&mut drive, &[0x1e, 0, 0, 0, 1]);
    let small = answer(&mut drive, &[0x1a, 0, 0x2a, 0, 255]);
    assert_eq!(
        (usize::from(small[0]), small.len(), small[10]),
        (25, 26, 0x2b)
    );
    let changeable = answer(&mut drive, &[0x5a, 0, 0x41, 0, 0, 0, 0, 4, 0]);
    assert_eq!(changeable[8..], [1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        sense(&mut drive, &[0x5a, 0, 0xc1, 0, 0, 0, 0, 4, 0]),
        Sense::SAVING_NOT_SUPPORTED
    );
    assert_eq!(
        sense(&mut drive, &[0x5a, 0, 0x05, 0, 0, 0, 0, 4, 0]),
        Sense::INVALID_FIELD
    );
    let selected = drive.execute(&Command::new(&[0x15, 0, 0, 0, 12]));
    assert!(matches!(selected, Response::Parameters(12)));
    assert!(matches!(drive.parameters(&[0; 12]), Response::Good));
    assert!(matches!(
        drive.parameters(&[0; 3]),
        Response::Failed(Sense::PARAMETER_LIST_LENGTH)
    ));
}

#[test]
fn disc_track_and_layer() {
    let mut cd = drive(Some(100));
    let disc = answer(&mut cd, &[0x51, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(disc[..8], [0, 32, 0x0e, 1, 1, 1, 1, 0x20]);
    assert_eq!(disc.len(), 34);
    for address in [
        &[0x52, 1, 0, 0, 0, 1, 0, 1, 0][..],
        &[0x52, 0, 0, 0, 0, 99, 0, 1, 0],
    ] {
        let track = answer(&mut cd, address);
        assert_eq!((track.len(), track[1], track[2], track[5]), (36, 34, 1, 4));
        assert_eq!(track[24..28], [0, 0, 0, 100]);
    }
    for wrong in [
        &[0x52, 1, 0, 0, 0, 2, 0, 1, 0][..],
        &[0x52, 0, 0, 0, 0, 100, 0, 1, 0],
    ] {
        assert_eq!(sense(&mut cd, wrong), Sense::INVALID_FIELD);
    }
    let physical = [0xad, 0, 0, 0, 0, 0, 0, 0, 8, 4];
    assert_eq!(sense(&mut cd, &physical), Sense::INCOMPATIBLE_FORMAT);
    let mut dvd = drive(Some(2_000_000));
    let layer = answer(&mut dvd, &physical);
    assert_eq!((layer.len(), layer[0], layer[1]), (2052, 8, 2));
    assert_eq!(layer[4..12], [1, 0x0f, 1, 0, 0, 3, 0, 0]);
    assert_eq!(layer[12..16], (0x3_0000_u32 + 1_999_999).to_be_bytes());
    assert_eq!(
        answer(&mut dvd, &[0xad, 0, 0, 0, 0, 0, 0, 1, 0, 255]).len(),
        8
    );
    assert_eq!(
        sense(&mut dvd, &[0xad, 0, 0, 0, 0, 0, 0, 4, 8, 4]),
        Sense::INVALID_FIELD
    );
}

#[test]
fn without_a_medium_only_questions_about_the_drive_are_answered() {
    let mut drive = drive(None);
    for needs in [0x00, 0x25, 0x28, 0xa8, 0x2b, 0x43, 0x51, 0x52, 0xad] {
        assert_eq!(
            sense(&mut drive, &[needs]),
            Sense::MEDIUM_NOT_PRESENT,
            "{needs:#x}"
        );
    }
    for command in [0x1b, 0x1e, 0xbb] {
        assert!(answer(&mut drive, &[command]).is_empty());
    }
    // Events: only polling, and classes the drive has.
    assert_eq!(
        sense(&mut drive, &[0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8]),
        Sense::INVALID_FIELD
    );
    assert_eq!(
        answer(&mut drive, &[0x4a, 1, 0, 0, 0x02, 0, 0, 0, 8]),
        [0, 2, 0x80, 0x10]
    );
}

#[test]
fn every_command_with_every_byte_pattern_answers() {
    for sectors in [None, Some(0), Some(1), Some(u64::from(u32::MAX) + 5)] {
        let mut drive = drive(sectors);
        for operation in 0..=255_u8 {
            for fill in [0, 1, 2, 0x10, 0x3f, 0x55, 0x7f, 0x80, 0xaa, 0xff] {
                let mut command = [fill; 16];
                command[0] = operation;
                if let Response::Read(read) = drive.execute(&Command::new(&command)) {
                    assert!(read.offset + read.length <= read.image.size());
                }
                drive.execute(&Command::new(&command[..1]));
                drive.execute(&Command::new(&[]));
            }
        }
    }
}
