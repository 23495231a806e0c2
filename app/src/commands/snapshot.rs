//! Snapshots of machines, and machines made from them.

use chrono::{DateTime, Local};
use guesthouse_engine::definition::Name;
use guesthouse_engine::library::{Library, StoredMachine};
use guesthouse_engine::snapshot::{NewSnapshot, Snapshot, Tree};
use guesthouse_ui::text::{gettext, gettext_with};
use serde_json::json;

use crate::command_line::{SnapshotCommand, TakeSnapshot};
use crate::output::{padded, print, print_json, widest};

/// Carries out a command on snapshots.
///
/// # Errors
/// What kept it from being done; the machine and its snapshots are then as they were.
pub fn snapshot(library: &Library, command: &SnapshotCommand, as_json: bool) -> anyhow::Result<()> {
    match command {
        SnapshotCommand::Create(take) => create(library, take, as_json),
        SnapshotCommand::List(named) => {
            let (_, tree) = find(library, &named.name)?;
            list(&tree, as_json)
        }
        SnapshotCommand::Revert(chosen) => {
            let (machine, tree) = find(library, &chosen.name)?;
            let id = tree.find(&chosen.snapshot)?;
            library.revert(&machine, id)?;
            print(&gettext_with(
                "{machine} is back at {snapshot}",
                &[
                    ("machine", &machine.definition.name),
                    ("snapshot", &chosen.snapshot),
                ],
            ))
        }
        SnapshotCommand::Delete(chosen) => {
            let (machine, tree) = find(library, &chosen.name)?;
            library.delete_snapshot(&machine, tree.find(&chosen.snapshot)?)?;
            super::progress::with_progress(|job| Ok(library.reclaim(&machine, job)?))
        }
        SnapshotCommand::Branch(branch) => {
            let (machine, tree) = find(library, &branch.name)?;
            let id = tree.find(&branch.snapshot)?;
            let made = library.branch(&machine, id, Name::new(&branch.new)?)?;
            super::machine::made(&made, as_json)
        }
        SnapshotCommand::Rename(rename) => {
            let (machine, tree) = find(library, &rename.name)?;
            let id = tree.find(&rename.snapshot)?;
            let snapshots = tree.snapshots();
            let notes = snapshots.iter().find(|snapshot| snapshot.id == id);
            let new = NewSnapshot {
                name: rename.new.clone(),
                notes: notes.map_or_else(String::new, |snapshot| snapshot.notes.clone()),
            };
            Ok(library.describe_snapshot(&machine, id, &new)?)
        }
        SnapshotCommand::Accept(named) => {
            let machine = library.find(&named.name)?;
            Ok(library.accept_bases(&machine, None)?)
        }
    }
}

fn find(library: &Library, name: &str) -> anyhow::Result<(StoredMachine, Tree)> {
    let machine = library.find(name)?;
    let tree = library.snapshots(&machine)?;
    Ok((machine, tree))
}

fn create(library: &Library, take: &TakeSnapshot, as_json: bool) -> anyhow::Result<()> {
    let machine = library.find(&take.name)?;
    let name = match &take.snapshot {
        Some(name) => name.clone(),
        None => Local::now().format("%Y-%m-%d %H:%M:%S").to_string(),
    };
    let new = NewSnapshot {
        name: name.clone(),
        notes: take.notes.clone().unwrap_or_default(),
    };
    let id = library.take_snapshot(&machine, &new)?;
    if as_json {
        return print_json(&json!({ "id": id, "name": name }));
    }
    print(&gettext_with("{snapshot} is taken", &[("snapshot", &name)]))
}

fn list(tree: &Tree, as_json: bool) -> anyhow::Result<()> {
    let snapshots = tree.snapshots();
    if as_json {
        let values: Vec<_> = snapshots
            .iter()
            .map(|snapshot| {
                json!({
                    "id": snapshot.id, "parent": snapshot.parent, "name": snapshot.name, "notes": snapshot.notes,
                    "created": time(snapshot).map(|time| time.to_rfc3339()), "size": snapshot.size,
                    "current": snapshot.current, "clones": snapshot.has_clones,
                })
            })
            .collect();
        return print_json(&json!(values));
    }
    if snapshots.is_empty() {
        return print(&gettext(
            "There are no snapshots; take one with \"guesthouse snapshot create NAME\".",
        ));
    }
    let label = |snapshot: &Snapshot| {
        let mark = if snapshot.current { "* " } else { "  " };
        format!("{mark}{}{}", "  ".repeat(snapshot.depth), snapshot.name)
    };
    let labels: Vec<String> = snapshots.iter().map(label).collect();
    let width = widest(labels.iter().map(String::as_str));
    for (snapshot, label) in snapshots.iter().zip(&labels) {
        let taken = time(snapshot).map_or_else(String::new, |time| {
            time.format("%Y-%m-%d %H:%M").to_string()
        });
        let id = snapshot.id.to_string();
        print(&format!(
            "{}  {taken}  {:>10}  {}",
            padded(label, width),
            crate::size::show(snapshot.size),
            id.get(..8).unwrap_or(&id)
        ))?;
    }
    Ok(())
}

fn time(snapshot: &Snapshot) -> Option<DateTime<Local>> {
    DateTime::from_timestamp_millis(snapshot.created).map(|time| time.with_timezone(&Local))
}
