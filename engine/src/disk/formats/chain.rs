//! An image on top of those that it holds the differences to.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::super::Backing;
use super::raw::Raw;
use super::{
    Container, Extent, Format, FormatError, Identity, Kind, Opened, Parent, qcow2, vdi, vhd, vhdx,
    vmdk,
};

/// The most images in a chain.
const MOST: usize = 64;

/// How a chain is to be opened.
#[derive(Debug, Clone, Default)]
pub(in crate::disk) struct ChainOptions {
    /// What the first image is; by its content where nothing is said.
    pub(in crate::disk) format: Option<Format>,
    /// Which other files it may take data from.
    pub(in crate::disk) backing: Backing,
    /// An internal snapshot, by its name or number, to be read instead of the present state.
    pub(in crate::disk) snapshot: Option<String>,
    /// Which of the images nobody may write to as long as the chain is open.
    pub(in crate::disk) locking: Locking,
    /// Only the first image is opened; what it does not have reads as zeros.
    pub(in crate::disk) alone: bool,
}

/// Which images of a chain are locked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::disk) enum Locking {
    #[default]
    All,
    /// All but the first, which whoever opens the chain has locked.
    Beneath,
    None,
}

/// An image with the images beneath it, as one disk.
pub(in crate::disk) struct Chain {
    links: Vec<Link>,
    size: u64,
    /// What the images do not have is absent, not zeros: there are more beneath.
    partial: bool,
}

/// One image of a chain.
pub(in crate::disk) struct Link {
    pub(in crate::disk) path: PathBuf,
    pub(in crate::disk) format: Format,
    pub(in crate::disk) opened: Opened,
}

impl Chain {
    /// Opens the image at `path` and all beneath it.
    pub(in crate::disk) fn open(path: &Path, options: &ChainOptions) -> Result<Self, FormatError> {
        let mut links: Vec<Link> = Vec::new();
        let mut seen = Vec::new();
        let mut next = Some((path.to_owned(), options.format, None));
        while let Some((path, format, identity)) = next.take() {
            if links.len() == MOST {
                return Err(FormatError::TooDeep {
                    file: path,
                    most: MOST,
                });
            }
            let locked = match options.locking {
                Locking::All => true,
                Locking::Beneath => !links.is_empty(),
                Locking::None => false,
            };
            let container = Container::open(&path, locked)?;
            let metadata = container
                .file()
                .metadata()
                .map_err(|source| FormatError::host("read", &path, source))?;
            let file = (metadata.dev(), metadata.ino(), metadata.rdev());
            if seen.contains(&file) {
                return Err(FormatError::Circle { file: path });
            }
            seen.push(file);
            let format = match format {
                Some(format) => format,
                None => Format::of(container.file(), container.length())
                    .map_err(|source| FormatError::host("read", &path, source))?,
            };
            let snapshot = options.snapshot.as_deref().filter(|_| links.is_empty());
            let opened = open_layer(container, format, options, snapshot)?;
            if let Some(meant) = identity
                && !Identity::matches(&meant, opened.identity.as_ref())
            {
                return Err(FormatError::WrongParent {
                    file: links
                        .last()
                        .map(|link| link.path.clone())
                        .unwrap_or_default(),
                    parent: path,
                });
            }
            if let Some(parent) = opened.parent.as_ref().filter(|_| !options.alone) {
                let place = find_parent(&path, parent, &options.backing)?;
                next = Some((place, parent.format, parent.identity.clone()));
            }
            links.push(Link {
                path,
                format,
                opened,
            });
        }
        let size = links.first().map_or(0, |link| link.opened.layer.size());
        Ok(Self {
            links,
            size,
            partial: options.alone,
        })
    }

    /// A layer over others that are not opened.
    pub(in crate::disk) fn layer(path: &Path, format: Format, opened: Opened) -> Self {
        Self {
            partial: true,
            ..Self::single(path, format, opened)
        }
    }

    /// An image that is not a file of its own.
    pub(in crate::disk) fn single(path: &Path, format: Format, opened: Opened) -> Self {
        let size = opened.layer.size();
        Self {
            links: vec![Link {
                path: path.to_owned(),
                format,
                opened,
            }],
            size,
            partial: false,
        }
    }

    /// The size of the disk in bytes.
    pub(in crate::disk) fn size(&self) -> u64 {
        self.size
    }

    /// The same with a disk of another size: cut off, or with zeros behind its end.
    pub(in crate::disk) fn resized(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// Whether there are images beneath that were not opened.
    pub(in crate::disk) fn is_partial(&self) -> bool {
        self.partial
    }

    /// The images, the one on top first.
    pub(in crate::disk) fn links(&self) -> &[Link] {
        &self.links
    }

    /// What there is at `offset`, in which image, and for how long. `None` behind the end.
    fn find(&self, offset: u64) -> Result<Option<(Extent, Option<&Link>)>, FormatError> {
        if offset >= self.size {
            return Ok(None);
        }
        let mut length = self.size - offset;
        for link in &self.links {
            let size = link.opened.layer.size();
            if offset >= size {
                // The rest of a disk that is larger than the one beneath.
                return Ok(Some((Extent::new(Kind::Zero, length), None)));
            }
            let extent = link.opened.layer.extent(offset)?;
            length = length.min(extent.length.max(1)).min(size - offset);
            if extent.kind != Kind::Absent {
                return Ok(Some((Extent::new(extent.kind, length), Some(link))));
            }
        }
        let kind = if self.partial {
            Kind::Absent
        } else {
            Kind::Zero
        };
        Ok(Some((Extent::new(kind, length), None)))
    }

    /// What there is at `offset`, and for how long; absent only if the image was opened alone. `None` behind the end.
    pub(in crate::disk) fn extent(&self, offset: u64) -> Result<Option<Extent>, FormatError> {
        Ok(self.find(offset)?.map(|(extent, _)| extent))
    }

    /// Fills `data` from `offset` on, with zeros from the end on.
    pub(in crate::disk) fn read(
        &self,
        mut offset: u64,
        data: &mut [u8],
    ) -> Result<(), FormatError> {
        let mut rest = data;
        while !rest.is_empty() {
            let Some((extent, link)) = self.find(offset)? else {
                rest.fill(0);
                return Ok(());
            };
            let link = link.filter(|_| extent.kind == Kind::Data);
            let count = super::index(extent.length).min(rest.len());
            let (part, others) = rest.split_at_mut(count);
            match link {
                Some(link) => link.opened.layer.read(offset, part)?,
                None => part.fill(0),
            }
            offset = offset.saturating_add(count as u64);
            rest = others;
        }
        Ok(())
    }
}

/// Opens one image.
fn open_layer(
    container: Container,
    format: Format,
    options: &ChainOptions,
    snapshot: Option<&str>,
) -> Result<Opened, FormatError> {
    if let Some(snapshot) = snapshot.filter(|_| format != Format::Qcow2) {
        return Err(FormatError::unsupported(
            container.path(),
            format!("has no internal snapshot {snapshot:?}: only qcow2 images have them"),
            "leave the snapshot out",
        ));
    }
    match format {
        Format::Raw => Ok(Raw::open(container)),
        Format::Qcow2 => qcow2::open(container, &options.backing, snapshot),
        Format::Vmdk => vmdk::open(container, &options.backing),
        Format::Vdi => vdi::open(container),
        Format::Vhd => vhd::open(container),
        Format::Vhdx => vhdx::open(container),
    }
}

/// Opens an image within another file.
pub(super) fn open_part(container: Container) -> Result<Opened, FormatError> {
    let start = container.bytes(
        0,
        super::index(container.length().min(512)),
        "its beginning",
    )?;
    if start.starts_with(b"KDMV") {
        vmdk::open(container, &Backing::default())
    } else if start.starts_with(b"QFI\xfb") {
        qcow2::open(container, &Backing::default(), None)
    } else if start.starts_with(b"vhdxfile") {
        vhdx::open(container)
    } else {
        Err(container.damaged("it has a disk in a format that is not known"))
    }
}

/// The first of a parent's names that exists.
fn find_parent(child: &Path, parent: &Parent, backing: &Backing) -> Result<PathBuf, FormatError> {
    let mut first = None;
    for name in &parent.names {
        let place = beside(child, name);
        if place.exists() {
            return agree(child, &place, backing);
        }
        first.get_or_insert_with(|| name.clone());
    }
    Err(FormatError::NoParent {
        file: child.to_owned(),
        named: first.unwrap_or_else(|| "an image that it does not name".to_owned()),
    })
}

/// The file that `name` means in an image at `child`.
pub(in crate::disk) fn beside(child: &Path, name: &str) -> PathBuf {
    let folder = child.parent().unwrap_or(Path::new(""));
    folder.join(name.strip_prefix("file:").unwrap_or(name))
}

/// Refuses a file that the image at `child` may not take data from.
pub(in crate::disk) fn agree(
    child: &Path,
    place: &Path,
    backing: &Backing,
) -> Result<PathBuf, FormatError> {
    let whole = |path: &Path| std::fs::canonicalize(path);
    let place =
        whole(place).map_err(|source| super::super::OpenError::from_host(place, false, source))?;
    let agreed = backing
        .files
        .iter()
        .any(|file| whole(file).is_ok_and(|file| file == place))
        || backing
            .folders
            .iter()
            .any(|folder| whole(folder).is_ok_and(|folder| place.starts_with(folder)));
    if agreed {
        return Ok(place);
    }
    Err(FormatError::NotAgreed {
        file: child.to_owned(),
        named: place,
    })
}
