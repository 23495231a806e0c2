//! qcow2 images as the tools see them (docs/interop/qcow2.txt in QEMU's sources): whatever can be read is read, also what a live
//! machine may not use: compressed with zlib or zstd, subclusters, external data files, internal snapshots, damaged counts.

mod header;
mod layer;
mod snapshots;

pub(in crate::disk) use header::{Compression, Header, bits};
pub(in crate::disk) use layer::{COPIED, OFFSET, Qcow2, compressed_place, shortened};
pub(in crate::disk) use snapshots::Snapshot;

use super::super::Backing;
use super::chain::{agree, beside};
use super::{Container, Format, FormatError, Opened, Parent};

/// Opens the image in `container`, or a snapshot within it.
pub(in crate::disk) fn open(
    container: Container,
    backing: &Backing,
    snapshot: Option<&str>,
) -> Result<Opened, FormatError> {
    let header = Header::read(&container)?;
    header.check_readable(&container)?;
    let data = match &header.data_file {
        Some(name) => {
            let place = beside(container.path(), name);
            if !place.exists() {
                return Err(super::super::OpenError::Missing { file: place }.into());
            }
            Container::open(&agree(container.path(), &place, backing)?, false)?
        }
        None => container.clone(),
    };
    let parent = header.backing_file.clone().map(|name| Parent {
        names: vec![name],
        format: header.backing_format.as_deref().and_then(Format::named),
        identity: None,
    });
    let mut variant = format!("version {}", header.version);
    if header.compression == Compression::Zstandard {
        variant.push_str(", zstd");
    }
    let layer = match snapshot {
        None => Qcow2::new(container, data, header)?,
        Some(name) => {
            let found = Snapshot::read_all(&container, &header)?
                .into_iter()
                .find(|snapshot| snapshot.name == name || snapshot.id == name)
                .ok_or_else(|| {
                    FormatError::unsupported(
                        container.path(),
                        format!("has no internal snapshot called {name:?}"),
                        "\"guesthouse disk info\" lists those that there are",
                    )
                })?;
            Qcow2::of_snapshot(container, data, header, &found)?
        }
    };
    Ok(Opened {
        layer: Box::new(layer),
        parent,
        identity: None,
        variant,
    })
}
