//! Changes of what an image is based on: another backing file, or none.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::super::Backing;
use super::super::check::{open_writable, put};
use super::super::formats::qcow2::{Header, bits};
use super::super::formats::{
    Chain, Container, Extent, Format, FormatError, Kind, Layer, Opened, index,
};
use super::convert::verify_layer;
use super::copy::copy;
use super::create::name_from;
use super::resize::open_held;
use super::sinks::{Qcow2Sink, Qcow2Writing, write_names};
use super::{Job, Phase, Source, ToolError, Unfinished};

/// The most bytes of a header that one write brings to the device whole.
const SECTOR: usize = 512;
const EXTENSION_BACKING_FORMAT: u32 = 0xe279_2aca;
const EXTENSION_FEATURE_NAMES: u32 = 0x6803_f857;

/// The header of an image that can be read and was closed properly.
pub(super) fn header_of(path: &Path, container: &Container) -> Result<Header, ToolError> {
    let header = Header::read(container)?;
    header.check_readable(container)?;
    if header.incompatible & (bits::DIRTY | bits::CORRUPT) != 0 {
        return Err(ToolError::refused(
            path,
            "was not closed properly or is marked as damaged",
            "repair it first (guesthouse disk repair)",
        ));
    }
    Ok(header)
}

/// Makes the qcow2 image at `path` name another backing file, or none, and changes nothing else: for a backing file that was moved
/// or renamed. If the new one has another content, so has the disk.
///
/// # Errors
/// When the image is in use, or the host refuses; it is then as it was.
pub fn rebase_unsafe(
    path: &Path,
    base: Option<(&Path, Format)>,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let backing = match base {
        Some((base, format)) => Some((name_from(path, base)?, format)),
        None => None,
    };
    let (file, container) = open_writable(path)?;
    let header = header_of(path, &container)?;
    job.begin(Phase::Storing, 0)?;
    write_backing(&file, &container, &header, backing)
}

/// Has the qcow2 image at `path` name another file of the same content beneath it: `name`, which has `format`.
///
/// # Errors
/// When it cannot be opened or is in use, its header has no room, or the host refuses. After a crash it names the one or the other.
pub(crate) fn set_backing(path: &Path, name: String, format: Format) -> Result<(), ToolError> {
    let (file, container) = open_writable(path)?;
    let header = Header::read(&container)?;
    write_backing(&file, &container, &header, Some((name, format)))
}

fn write_backing(
    file: &File,
    container: &Container,
    header: &Header,
    backing: Option<(String, Format)>,
) -> Result<(), ToolError> {
    let path = container.path();
    let host = |source| ToolError::from_host("write to", path, source);
    let mut bytes = vec![0; index(header.length)];
    file.read_exact_at(&mut bytes, 0).map_err(host)?;
    put(&mut bytes, 8, &[0; 12]);
    let fixed = bytes.len();
    let kept = |names: bool| {
        let mut bytes = bytes.clone();
        for extension in &header.extensions {
            let dropped = extension.kind == EXTENSION_BACKING_FORMAT
                || (!names && extension.kind == EXTENSION_FEATURE_NAMES);
            if !dropped {
                bytes.extend(extension.kind.to_be_bytes());
                bytes.extend(
                    u32::try_from(extension.data.len())
                        .unwrap_or(u32::MAX)
                        .to_be_bytes(),
                );
                bytes.extend(&extension.data);
                bytes.resize(bytes.len().next_multiple_of(8), 0);
            }
        }
        write_names(&mut bytes, backing.as_ref());
        bytes
    };
    let name_length = backing.as_ref().map_or(0, |(name, _)| name.len());
    // The names of features are for other programs' messages only; without them the rest is one sector.
    let mut new = kept(true);
    if new.len() - name_length > SECTOR {
        new = kept(false);
    }
    if new.len() as u64 > header.cluster_size() {
        return Err(ToolError::refused(
            path,
            "has no room for so long a name in its first cluster",
            "move the images into one folder, so that the name alone is enough",
        ));
    }
    debug_assert!(fixed <= new.len());
    // The name goes behind everything that the header has now, and to the device, before the header leads to it.
    if let Some((name, _)) = &backing {
        let old_end = old_end(container, header)?;
        let place = old_end.max(new.len() as u64).next_multiple_of(8);
        if place + name.len() as u64 <= header.cluster_size() {
            file.write_all_at(name.as_bytes(), place).map_err(host)?;
            file.sync_all().map_err(host)?;
            put(&mut new, 8, &place.to_be_bytes());
            new.truncate(new.len() - name.len());
        }
    }
    file.write_all_at(&new, 0).map_err(host)?;
    file.sync_all().map_err(host)
}

/// Where what the header has in its cluster ends.
fn old_end(container: &Container, header: &Header) -> Result<u64, ToolError> {
    let fields = container.bytes(8, 12, "its header")?;
    let (place, length) = fields.split_at(8);
    let number = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte))
    };
    let extensions = header
        .extensions
        .iter()
        .fold(header.length + 8, |end, extension| {
            end + 8 + (extension.data.len() as u64).next_multiple_of(8)
        });
    Ok((number(place) + number(length)).max(extensions))
}

/// Makes the qcow2 image at `path`, which is based on images that `backing` allows, the differences to another image, or to none, so
/// that its disk stays what it is.
///
/// # Errors
/// When an image cannot be read, is in use, or the host refuses; the image is then as it was.
pub fn rebase(
    path: &Path,
    backing: &Backing,
    base: Option<&Source>,
    job: &Job<'_>,
) -> Result<(), ToolError> {
    let (_file, container) = open_writable(path)?;
    let header = header_of(path, &container)?;
    for (present, reason) in [
        (
            header.snapshots != 0,
            "holds internal snapshots, which would lose their backing file",
        ),
        (header.data_file.is_some(), "keeps its data in another file"),
        (
            header.extended_l2(),
            "has subclusters, which cannot be written anew over another image",
        ),
    ] {
        if present {
            return Err(ToolError::refused(
                path,
                reason,
                "copy it with \"guesthouse disk convert\"",
            ));
        }
    }
    let whole = open_held(path, Format::Qcow2, Some(backing))?;
    let unfinished = Unfinished::replacing(path)?;
    job.begin(Phase::Copying, whole.size())?;
    let mut writing = Qcow2Writing {
        cluster_size: header.cluster_size(),
        compress: false,
        backing: None,
    };
    let size = whole.size();
    let Some(base) = base else {
        let sink = Qcow2Sink::new(unfinished.file(), path, size, writing)?;
        copy(&whole, &sink, job)?;
        sink.finish()?;
        verify_layer(&whole, &unfinished, false, job)?;
        job.begin(Phase::Storing, 0)?;
        return unfinished.finish();
    };
    let new = base.open()?;
    if new.links().iter().any(|link| same_file(&link.path, path)) {
        return Err(FormatError::Circle {
            file: path.to_owned(),
        }
        .into());
    }
    let format = new.links().first().map_or(Format::Raw, |link| link.format);
    writing.backing = Some((name_from(path, &base.file)?, format));
    let layer = Differences {
        top: open_held(path, Format::Qcow2, None)?,
        whole,
        new,
        unit: header.cluster_size(),
    };
    let differences = Chain::layer(path, Format::Qcow2, Opened::alone(layer, "differences"));
    let sink = Qcow2Sink::new(unfinished.file(), path, size, writing)?;
    copy(&differences, &sink, job)?;
    sink.finish()?;
    verify_layer(&differences, &unfinished, true, job)?;
    job.begin(Phase::Storing, 0)?;
    unfinished.finish()
}

fn same_file(one: &Path, other: &Path) -> bool {
    std::fs::canonicalize(one)
        .is_ok_and(|one| std::fs::canonicalize(other).is_ok_and(|other| one == other))
}

/// What an image must hold over another base so that its disk stays what it is: what it holds already, and where it holds nothing
/// what its old and its new base have different.
struct Differences {
    top: Chain,
    whole: Chain,
    new: Chain,
    unit: u64,
}

impl Differences {
    fn differs(&self, offset: u64, length: u64) -> Result<bool, FormatError> {
        let zeros = |chain: &Chain| -> Result<bool, FormatError> {
            Ok(chain
                .extent(offset)?
                .is_none_or(|extent| extent.kind == Kind::Zero && extent.length >= length))
        };
        if zeros(&self.whole)? && zeros(&self.new)? {
            return Ok(false);
        }
        let mut old = vec![0; index(length)];
        let mut new = old.clone();
        self.whole.read(offset, &mut old)?;
        self.new.read(offset, &mut new)?;
        Ok(old != new)
    }
}

impl Layer for Differences {
    fn size(&self) -> u64 {
        self.top.size()
    }

    fn extent(&self, offset: u64) -> Result<Extent, FormatError> {
        let nothing = Extent::new(Kind::Zero, 1);
        let extent = self.top.extent(offset)?.unwrap_or(nothing);
        if extent.kind != Kind::Absent {
            return Ok(extent);
        }
        // Both bases empty for long, as they mostly are behind the end of a smaller one.
        let empty = |chain: &Chain| -> Result<u64, FormatError> {
            Ok(match chain.extent(offset)? {
                None => u64::MAX,
                Some(extent) if extent.kind == Kind::Zero => extent.length,
                Some(_) => 0,
            })
        };
        let both = empty(&self.whole)?
            .min(empty(&self.new)?)
            .min(extent.length);
        if both >= self.unit {
            let whole = if both == self.size() - offset {
                both
            } else {
                both - both % self.unit
            };
            return Ok(Extent::new(Kind::Absent, whole));
        }
        let unit = self.unit.min(self.size() - offset);
        let kind = if self.differs(offset, unit)? {
            Kind::Data
        } else {
            Kind::Absent
        };
        Ok(Extent::new(kind, unit))
    }

    fn read(&self, offset: u64, data: &mut [u8]) -> Result<(), FormatError> {
        self.whole.read(offset, data)
    }
}
