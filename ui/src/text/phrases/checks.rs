//! What a check of a disk's image finds.

use crate::text::message;

/// What is found.
pub const CHECKS: &[&str] = &[
    message(
        "A second reader of the tables (qcow2-rs) does not agree that all is well: {reason}. Please report this, with the output of qemu-img check.",
    ),
    message("It was not closed by the program that used it last."),
    message("A program that used it has marked it as damaged."),
    message("What should be {part} does not begin where a cluster does, at byte {offset}."),
    message("What should be {part} lies beyond the end of the file, at byte {offset}."),
    message("Cluster {cluster} of the file is used for {part} and for {kind} at the same time."),
    message("Entry {number} of {part} has bits that mean nothing."),
    message("The snapshots cannot be read: {fault}."),
    message("The snapshots' L1 tables are larger than the file."),
    message(
        "Entry {number} of the L2 table at byte {offset} says that its compressed cluster goes on behind the end of the file.",
    ),
    message(
        "Entry {number} of the L2 table at byte {offset} {fault}: what the guest has stored there is lost.",
    ),
    message(
        "Cluster {cluster} of the file is used {found} times but counted {recorded} times: it would be given out again.",
    ),
    message(
        "Cluster {cluster} of the file is counted {recorded} times but used {found} times: its space is wasted.",
    ),
    message("Entry {number} of the L1 table says wrongly whether others use its L2 table."),
    message("Entry {number} of L2 table {table} says wrongly whether others use its cluster."),
    message(
        "It has {length} bytes, which do not fill its last sector of {sector}; its guest does not see the last {count} of them.",
    ),
    message(
        "Its partitions end at byte {end}, beyond the end of the image at {length}: it was truncated or copied in part only; restore it from a backup, or grow it to that size to save what is left.",
    ),
    message("nothing"),
    message("the header"),
    message("the L1 table"),
    message("the snapshot table"),
    message("a snapshot's L1 table"),
    message("an L2 table"),
    message("the reference count table"),
    message("reference counts"),
    message("a bitmap"),
    message("the encryption's header"),
    message("data"),
    message("the snapshot {name}"),
    message("it cannot read the image: {cause}"),
    message("it ends in a panic"),
    message("it waits for something"),
    message("it finds {part} in cluster {cluster} of the file"),
    message("it finds data in {found} clusters, not in {counted}"),
];
