//! What belongs to a machine: the files of its folder, and the disks elsewhere that it needs.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{BackupError, Place, Rebase};
use crate::definition::ImageFormat;
use crate::disk::inspect;
use crate::firmware::NVRAM_FILES;
use crate::library::{DEFINITION_FILE, LibraryError, StoredMachine};
use crate::snapshot::{Tree, backing_path};

/// The most images of a machine.
const MOST_IMAGES: usize = 10_000;
/// How deep folders are in a machine's folder.
pub(super) const MOST_DEPTH: usize = 8;

/// A file of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its name below the machine's folder when it comes back.
    pub(super) name: PathBuf,
    /// Where it is now.
    pub(super) path: PathBuf,
}

/// The files in the machine's folder, the definition first and the largest last; hidden ones are locks and unfinished work.
pub(super) fn in_folder(folder: &Path) -> Result<Vec<Member>, BackupError> {
    let mut members = Vec::new();
    collect(folder, Path::new(""), 0, &mut members)?;
    members.sort_by_cached_key(|member| {
        let length = fs::metadata(&member.path).map_or(0, |metadata| metadata.len());
        (
            member.name != Path::new(DEFINITION_FILE),
            length,
            member.name.clone(),
        )
    });
    Ok(members)
}

fn collect(
    folder: &Path,
    below: &Path,
    depth: usize,
    members: &mut Vec<Member>,
) -> Result<(), BackupError> {
    let host = |path: &Path, source| {
        BackupError::Library(LibraryError::Host {
            action: "read",
            path: path.to_owned(),
            source,
        })
    };
    for entry in fs::read_dir(folder).map_err(|source| host(folder, source))? {
        let entry = entry.map_err(|source| host(folder, source))?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let name = below.join(entry.file_name());
        // A link to a file is that file: whoever made it wanted the disk elsewhere, not to lose it.
        let metadata = fs::metadata(&path).map_err(|source| host(&path, source))?;
        let link = path.is_symlink();
        if metadata.is_file() {
            members.push(Member { name, path });
        } else if metadata.is_dir() && !link && depth < MOST_DEPTH {
            collect(&path, &name, depth + 1, members)?;
        } else {
            return Err(BackupError::Odd { file: path });
        }
    }
    Ok(())
}

/// The images of a machine that have another name when it comes back.
pub(super) struct Moved {
    /// Files that are not in the machine's folder.
    pub(super) members: Vec<Member>,
    pub(super) places: Vec<Place>,
    pub(super) rebases: Vec<Rebase>,
}

/// Finds the disks that are named by whole paths, and all that they are built on, and gives them names in the machine's folder.
pub(super) fn moved(machine: &StoredMachine, tree: &Tree) -> Result<Moved, BackupError> {
    let folder = real(&machine.folder);
    let named = tree.named_images(&machine.definition)?;
    let mut open: Vec<(PathBuf, ImageFormat)> = named
        .iter()
        .map(|(file, format)| (real(&folder.join(file)), *format))
        .collect();
    let mut images: Vec<PathBuf> = Vec::new();
    let mut links: Vec<(PathBuf, PathBuf, ImageFormat, String)> = Vec::new();
    while let Some((image, format)) = open.pop() {
        if images.contains(&image) {
            continue;
        }
        if images.len() == MOST_IMAGES {
            return Err(BackupError::Odd { file: image });
        }
        images.push(image.clone());
        if format != ImageFormat::Qcow2 {
            continue;
        }
        let Some(name) = inspect(&image)?.backing_file else {
            continue;
        };
        let base = real(&backing_path(&image, &name));
        let format = match tree.format_of(&base) {
            Some(format) => format,
            None => inspect(&base)?.format,
        };
        links.push((image, base.clone(), format, name));
        open.push((base, format));
    }
    images.sort();
    let mut names: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut members = Vec::new();
    for path in images {
        let name = match path.strip_prefix(&folder) {
            Ok(name) => name.to_owned(),
            Err(_) => {
                let name = free_name(&folder, &path, &names);
                members.push(Member {
                    name: name.clone(),
                    path: path.clone(),
                });
                name
            }
        };
        names.push((path, name));
    }
    let name_of = |path: &Path| {
        let path = real(path);
        names
            .iter()
            .find(|(image, _)| *image == path)
            .map(|(_, name)| name.clone())
    };
    let agreed = machine
        .definition
        .drives
        .iter()
        .flat_map(|drive| &drive.backing);
    let mut places: Vec<Place> = Vec::new();
    for path in named.iter().map(|(file, _)| file).chain(agreed) {
        let known = places.iter().any(|place| place.path == *path);
        if path.is_absolute()
            && !known
            && let Some(name) = name_of(path)
        {
            places.push(Place {
                path: path.clone(),
                name,
            });
        }
    }
    let mut rebases = Vec::new();
    for (image, base, format, named) in links {
        let (Some(file), Some(base)) = (name_of(&image), name_of(&base)) else {
            continue;
        };
        let parts = |path: &Path| -> PathBuf {
            path.components()
                .filter(|part| *part != Component::CurDir)
                .collect()
        };
        if parts(&backing_path(&file, &named)) == parts(&base) {
            continue;
        }
        // An image names another by its name beside it, so that both can move together.
        if !base.starts_with(file.parent().unwrap_or(Path::new(""))) {
            return Err(BackupError::Odd { file: image });
        }
        rebases.push(Rebase { file, base, format });
    }
    Ok(Moved {
        members,
        places,
        rebases,
    })
}

/// A name in the machine's folder for the image at `path`, which is elsewhere.
fn free_name(folder: &Path, path: &Path, names: &[(PathBuf, PathBuf)]) -> PathBuf {
    let base = path.file_name().unwrap_or_default().to_string_lossy();
    let base = match base.trim_start_matches('.') {
        "" => "disk",
        base => base,
    };
    let reserved = |name: &Path| {
        name == Path::new(DEFINITION_FILE) || NVRAM_FILES.iter().any(|file| name == Path::new(file))
    };
    let mut number = 1_u64;
    loop {
        let name = PathBuf::from(match number {
            1 => base.to_owned(),
            _ => format!("{number}-{base}"),
        });
        let taken = folder.join(&name).symlink_metadata().is_ok()
            || names.iter().any(|(_, other)| *other == name)
            || reserved(&name);
        if !taken {
            return name;
        }
        number += 1;
    }
}

/// A path with its links followed as far as it exists.
pub(super) fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
