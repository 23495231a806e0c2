//! Writes frames to a file that Wireshark and tcpdump read: libpcap's format, version 2.4, link type Ethernet.
//!
//! Frames are written as they pass: one that is yet to be cut into segments is one packet, and a checksum that was left out is not
//! there.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Frame;

const MAGIC: u32 = 0xa1b2_c3d4;
const MOST_BYTES_OF_A_PACKET: u32 = 262_144;
const ETHERNET: u32 = 1;
/// How long what was written may be missing from the file while more is written.
const FLUSH: Duration = Duration::from_secs(1);

/// A file that frames are written to.
pub struct Capture {
    file: BufWriter<File>,
    flushed: Instant,
}

impl Capture {
    /// Begins the file anew; only its owner may read it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        let mut file = BufWriter::new(file);
        file.write_all(&MAGIC.to_le_bytes())?;
        file.write_all(&[2, 0, 4, 0])?;
        file.write_all(&[0; 8])?;
        file.write_all(&MOST_BYTES_OF_A_PACKET.to_le_bytes())?;
        file.write_all(&ETHERNET.to_le_bytes())?;
        file.flush()?;
        Ok(Self {
            file,
            flushed: Instant::now(),
        })
    }

    /// Writes `frame`.
    ///
    /// # Errors
    /// When the file cannot take it; a full disk, say.
    pub fn record(&mut self, frame: &Frame) -> io::Result<()> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let length = u32::try_from(frame.data().len()).unwrap_or(u32::MAX);
        for part in [seconds, now.subsec_micros(), length, length] {
            self.file.write_all(&part.to_le_bytes())?;
        }
        self.file.write_all(frame.data())?;
        if self.flushed.elapsed() >= FLUSH {
            self.flushed = Instant::now();
            self.file.flush()?;
        }
        Ok(())
    }
}
