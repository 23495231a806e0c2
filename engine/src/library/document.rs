//! Changes to a `machine.toml` that leave everything else in it alone.
//!
//! A change is the difference between two definitions, the one that was shown and the one that is wanted, applied to the text as
//! it is now. What neither of them says (comments, order, keys of other versions) is not touched.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, TableLike};

use super::LibraryError;
use crate::definition::{Definition, Drive, NetworkCard};
use crate::disk::place::sync_folder;

/// What a definition is called until it is whole.
const TEMPORARY: &str = ".machine.toml.part";

/// The text of a new definition.
pub(super) fn text(file: &Path, definition: &Definition) -> Result<String, LibraryError> {
    toml::to_string(definition).map_err(|error| broken(file, error.to_string()))
}

/// `text` with what differs between `shown` and `wanted` changed.
pub(crate) fn merge(
    file: &Path,
    text: &str,
    shown: &Definition,
    wanted: &Definition,
) -> Result<String, LibraryError> {
    let newer = || {
        let schema = toml::from_str::<toml::Table>(text)
            .ok()?
            .get("schema")?
            .as_integer()?;
        (schema > i64::from(crate::definition::SCHEMA)).then_some(schema)
    };
    if let Some(schema) = newer() {
        return Err(LibraryError::Newer {
            file: file.to_owned(),
            schema,
        });
    }
    let current: Definition =
        toml::from_str(text).map_err(|error| broken(file, error.message().to_owned()))?;
    if (shown.drives != wanted.drives && shown.drives != current.drives)
        || (shown.networks != wanted.networks && shown.networks != current.networks)
    {
        return Err(LibraryError::Changed {
            file: file.to_owned(),
        });
    }
    let parse = |text: &str| {
        text.parse::<DocumentMut>()
            .map_err(|error| broken(file, error.message().to_owned()))
    };
    let mut document = parse(text)?;
    let old = parse(&self::text(file, shown)?)?;
    let new = parse(&self::text(file, wanted)?)?;
    merge_table(
        document.as_table_mut(),
        old.as_table(),
        new.as_table(),
        &|key, present, old, new| {
            let origins = match key {
                "drive" => origins(&shown.drives, &wanted.drives, &DRIVE_RULES),
                "network" => origins(&shown.networks, &wanted.networks, &CARD_RULES),
                _ => (0..new.len()).map(Some).collect(),
            };
            merge_entries(present, old, new, &origins);
        },
    );
    let text = document.to_string();
    toml::from_str::<Definition>(&text)
        .map_err(|error| broken(file, error.message().to_owned()))?;
    Ok(text)
}

fn broken(file: &Path, message: String) -> LibraryError {
    LibraryError::Broken {
        file: file.to_owned(),
        line: None,
        message,
    }
}

type MergeList<'a> = &'a dyn Fn(&str, &mut Item, &ArrayOfTables, &ArrayOfTables);

fn merge_table(
    target: &mut dyn TableLike,
    old: &dyn TableLike,
    new: &dyn TableLike,
    merge_list: MergeList<'_>,
) {
    let empty_list = ArrayOfTables::new();
    for (key, _) in old.iter() {
        if !new.contains_key(key) {
            target.remove(key);
        }
    }
    for (key, wanted) in new.iter() {
        let shown = old.get(key);
        if shown.is_some_and(|shown| shown.to_string() == wanted.to_string()) {
            continue;
        }
        let Some(present) = target.get_mut(key) else {
            target.insert(key, without_position(wanted.clone()));
            continue;
        };
        if let Some(list) = wanted.as_array_of_tables() {
            let shown = shown
                .and_then(Item::as_array_of_tables)
                .unwrap_or(&empty_list);
            merge_list(key, present, shown, list);
        } else if let (Some(present), Some(wanted)) =
            (present.as_table_like_mut(), wanted.as_table_like())
        {
            let nothing = Table::new();
            let shown = shown.and_then(Item::as_table_like).unwrap_or(&nothing);
            merge_table(present, shown, wanted, merge_list);
        } else if let (Some(present), Some(wanted)) = (present.as_value_mut(), wanted.as_value()) {
            let surroundings = present.decor().clone();
            *present = wanted.clone();
            *present.decor_mut() = surroundings;
        } else {
            *present = wanted.clone();
        }
    }
}

/// The entries of a list keep their own comments and unknown keys when others are added, removed or moved: each wanted one takes
/// over the text of the shown one that it is, or was made of (`origins`).
fn merge_entries(
    present: &mut Item,
    old: &ArrayOfTables,
    new: &ArrayOfTables,
    origins: &[Option<usize>],
) {
    let Ok(tables) = std::mem::take(present).into_array_of_tables() else {
        *present = Item::ArrayOfTables(new.clone());
        return;
    };
    let mut positions: Vec<Option<isize>> = tables.iter().map(Table::position).collect();
    positions.sort_unstable();
    let mut merged = ArrayOfTables::new();
    for (index, (origin, wanted)) in origins.iter().zip(new.iter()).enumerate() {
        let mut table =
            match origin.and_then(|origin| Some((tables.get(origin)?, old.get(origin)?))) {
                Some((text, shown)) => {
                    let mut text = text.clone();
                    merge_table(&mut text, shown, wanted, &|_, present, _, new| {
                        *present = Item::ArrayOfTables(without_positions(new.clone()));
                    });
                    text
                }
                None => wanted.clone(),
            };
        table.set_position(positions.get(index).copied().flatten());
        merged.push(table);
    }
    *present = Item::ArrayOfTables(merged);
}

/// Whether a wanted entry comes of a shown one; the last argument says whether both have the same place.
type Same<T> = fn(&T, &T, bool) -> bool;

const DRIVE_RULES: [Same<Drive>; 3] = [
    |one, other, _| one == other,
    |one, other, _| one.kind == other.kind && one.file.is_some() && one.file == other.file,
    |one, other, same_place| same_place && one.kind == other.kind,
];

const CARD_RULES: [Same<NetworkCard>; 3] = [
    |one, other, _| one == other,
    |one, other, _| one.mac.is_some() && one.mac == other.mac,
    |_, _, same_place| same_place,
];

/// For each wanted entry the shown one that it was, by the first rule that finds one.
fn origins<T>(shown: &[T], wanted: &[T], rules: &[Same<T>]) -> Vec<Option<usize>> {
    let mut free: Vec<bool> = vec![true; shown.len()];
    let mut origins = vec![None; wanted.len()];
    for rule in rules {
        for (place, entry) in wanted.iter().enumerate() {
            if origins.get(place).is_none_or(Option::is_some) {
                continue;
            }
            let found = shown.iter().enumerate().position(|(number, candidate)| {
                free.get(number) == Some(&true) && rule(candidate, entry, number == place)
            });
            if let (Some(number), Some(origin)) = (found, origins.get_mut(place)) {
                *origin = Some(number);
                if let Some(free) = free.get_mut(number) {
                    *free = false;
                }
            }
        }
    }
    origins
}

/// Lets what was taken from another document go to the end of this one.
fn without_position(mut item: Item) -> Item {
    if let Some(table) = item.as_table_mut() {
        table.set_position(None);
    }
    match item {
        Item::ArrayOfTables(list) => Item::ArrayOfTables(without_positions(list)),
        item => item,
    }
}

fn without_positions(mut list: ArrayOfTables) -> ArrayOfTables {
    for table in list.iter_mut() {
        table.set_position(None);
        for (_, item) in table.iter_mut() {
            if let Item::ArrayOfTables(inner) = item {
                *inner = without_positions(std::mem::take(inner));
            }
        }
    }
    list
}

/// Writes `text` to `file` so that after a crash the file is either as it was or as it is to be.
pub(crate) fn replace_file(file: &Path, text: &str) -> Result<(), LibraryError> {
    let write = || -> io::Result<()> {
        // A link stays one.
        let target = fs::canonicalize(file)?;
        let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
        // Whoever writes here holds the library's lock; what a killed one left is used again.
        let temporary = folder.join(TEMPORARY);
        let result = write_whole(&temporary, text)
            .and_then(|()| fs::set_permissions(&temporary, fs::metadata(&target)?.permissions()))
            .and_then(|()| fs::rename(&temporary, &target))
            .and_then(|()| sync_folder(folder));
        if result.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        result
    };
    write().map_err(|source| LibraryError::folder("write", file, source))
}

/// Writes a file to the device.
pub(super) fn write_whole(file: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = File::create(file)?;
    file.write_all(content.as_ref())?;
    file.sync_all()
}
