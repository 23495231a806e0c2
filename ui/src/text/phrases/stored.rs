//! What is said of snapshots and backups.

use crate::text::message;

/// Snapshots, and images that they keep.
pub const SNAPSHOTS: &[&str] = &[
    message(
        "there is no snapshot called {name}; `guesthouse snapshot list` shows those that there are",
    ),
    message(
        "several snapshots are called {name}; give the beginning of the identifier that `guesthouse snapshot list` shows",
    ),
    message("a snapshot's name has 1 to 64 characters and no control characters"),
    message("{file} cannot be understood: {message}; restore it from a backup"),
    message(
        "{file} was written by a newer version of Guesthouse (schema {schema}); update Guesthouse to use the machine's snapshots",
    ),
    message(
        "the snapshot {snapshot} comes after a snapshot that is missing ({parent}); restore the folder snapshots/{parent} from a backup",
    ),
    message(
        "the snapshots {snapshot} and those before it come after one another in a circle; restore the folder snapshots from a backup",
    ),
    message(
        "{file} is kept by the snapshot {snapshot} and may not be written to; attach it read-only, go back to the snapshot, or make a new machine from it",
    ),
    message("{file} is missing, which {owner} is built on; put it back to where it was"),
    message(
        "{file}, which {owner} is built on, was changed after the snapshot was taken: {difference}; what is built on it would read wrong data. Restore the file from a backup; if you know that its content is the same, `guesthouse snapshot accept` takes it as it is",
    ),
    message(
        "{file} is built on {found} instead of {expected}; another program has changed it. Restore it from a backup",
    ),
    message(
        "the machine {machine} is built on the snapshot {snapshot}; delete {machine} first, or give it disks of its own by cloning it in full",
    ),
    message(
        "the snapshot {snapshot} is deleted and its disks are being joined with the next ones; it cannot be had back",
    ),
    message(
        "the snapshot {snapshot} holds the memory of a running machine, which this version cannot bring back; update Guesthouse",
    ),
    message(
        "{file} is a device, of which no snapshot can be taken; attach it read-only or take it out first",
    ),
    message(
        "{file} cannot be the base of a snapshot: its path is longer than 1000 bytes or is not UTF-8; move it elsewhere",
    ),
    message("could not join {file} with what is built on it: {source}"),
    message(
        "a change to the machine's snapshots was cut in the middle and is completed when the library is read next; try again",
    ),
    message("cancelled; the data is whole, and the space is given back the next time"),
    message("it is in a drive of the machine"),
    message("it is not an image in the machine's folder"),
    message("a snapshot keeps it; delete the snapshot instead"),
    message("the machine's snapshots cannot be read, and may need it"),
    message("it was moved to the Trash, but the Trash does not show it"),
    message("this machine"),
    message("the deleted snapshot {name}"),
    message(
        "{file} belongs to the snapshot {first} and to the snapshot {second} too; restore the folder snapshots from a backup",
    ),
    message(
        "the snapshot the machine as it is now comes after a snapshot that is missing ({parent}); restore the folder snapshots/{parent} from a backup",
    ),
    message("it has no drive number {number}"),
    message("it leads out of the machine's folder"),
    message("it has {now} bytes instead of {before}"),
    message("it was written to at {now}, and had last been at {before}"),
    message("it is longer than 1 MiB or not a file"),
    message("it is not text"),
    message("it does not say its schema"),
    message("it is the manifest of another snapshot ({name})"),
    message("the images below it name one another in a circle, or are more than 256"),
    message("disk {number} of {name}"),
];

/// Backups, and archives that are damaged.
pub const BACKUPS: &[&str] = &[
    message("{file} is not a backup of a machine; choose another file"),
    message("{file} was written by a newer version of Guesthouse; update Guesthouse to restore it"),
    message(
        "{file} is damaged: {fault}; nothing was restored, copy the file again from where it came or use another backup",
    ),
    message(
        "{other} is the machine in the backup; restore it as a machine of its own (another name, a new identity), or delete {other} first",
    ),
    message(
        "{file} is neither a file nor a folder and cannot be backed up; move it out of the machine's folder",
    ),
    message("it ends too early"),
    message("there is more in it than it says"),
    message("the archive is not whole"),
    message("its header is cut off"),
    message("a text in it is too long"),
    message("a name in it is too long"),
    message("a name in it is not text"),
    message("a file is in it twice"),
    message("there is something else in it than files"),
    message("the checksum of {name} is wrong"),
    message("{name} is missing"),
    message("it has no checksum of {name}"),
    message("its holes are written in another way"),
    message("a file in it would lie outside of the machine's folder"),
    message("a file in it is longer than it says"),
    message("a number in a map of data is missing"),
    message("a number in a map of data is too large"),
    message("a map of data has something else than numbers"),
    message("a map of data has too many ranges"),
    message("a map of data leads beyond its file, or backwards"),
    message("the file could not be read on"),
];
