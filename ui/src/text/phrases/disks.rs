//! What is said of images of disks.

use crate::text::message;

/// What could not be done, after “could not”.
pub const ACTIONS: &[&str] = &[
    message("read"),
    message("write"),
    message("write to"),
    message("open"),
    message("create"),
    message("copy"),
    message("rename"),
    message("remove"),
    message("delete"),
    message("lock"),
    message("find"),
    message("replace"),
    message("resize"),
    message("store"),
    message("flush"),
    message("grow"),
    message("discard in"),
];

/// Images: making, opening, reading and changing them.
pub const DISKS: &[&str] = &[
    message("a disk of {size} bytes cannot be made; choose a multiple of 512 from 1 MiB to 64 TiB"),
    message("{file} exists already; choose another name"),
    message(
        "{file} cannot become {size} bytes large: files on its file system end at {limit} bytes; choose a smaller size or a folder on another file system",
    ),
    message(
        "no space is left on the file system for {file}; free some space or choose another folder",
    ),
    message("could not lay out {file} as qcow2: {reason}; choose another size"),
    message(
        "could not create {file}: {source}; check that its folder exists and may be written to",
    ),
    message(
        "could not {action} {file}: {source}; check that its folder exists and may be written to",
    ),
    message("could not {action} {file}: {source}"),
    message(
        "{file} is damaged: {fault}; restore it from a backup or repair it with \"guesthouse disk repair\"",
    ),
    message("{file} is damaged: {fault}; restore it from a backup, or download or copy it again"),
    message(
        "{file} is damaged: {fault}; restore it from a backup or repair it with `guesthouse disk repair`",
    ),
    message("{file} is not a {format} image; choose another file or another format"),
    message("{file} {feature}, which is not supported; {remedy}"),
    message(
        "{file} takes data from {named}, which is outside of the folders that it may use; if you trust it, agree to that file (--backing {named})",
    ),
    message(
        "{file} holds only what differs from {named}, which does not exist; put that back, or name its new place with \"guesthouse disk rebase --unsafe\"",
    ),
    message(
        "{parent} is not the image that {file} was made on: it was changed or replaced since; restore the one that it was made on",
    ),
    message("{file} has itself among the images that it is based on; restore it from a backup"),
    message(
        "{file} is based on more than {most} other images; join some of them (\"guesthouse disk commit\")",
    ),
    message(
        "no space is left for {file}: its file system is full, or a quota or a limit for one file is reached; make room there, then resume the machine",
    ),
    message("could not flush {file}: {cause}"),
    message("{length} bytes at {offset} lie beyond the end of {file}"),
    message("{file} is open for reading only"),
    message("{file} cannot be resized: {reason}"),
    message("{file} cannot be grown: {reason}"),
    message("its kind has a fixed size; convert it to another format"),
    message("it is a device; grow that, then start the machine again"),
    message("its new size is no multiple of 512 bytes, or smaller than what it has"),
    message(
        "the device that holds it failed to store data earlier; shut the machine down, check the device, then start it again",
    ),
    message(
        "it was deleted while it was in use and exists only until the machine is off; copy it from /proc/{process}/fd/{number} to where it was, then switch the machine off and start it again (resumed, it goes on in the file that is gone)",
    ),
    message(
        "the device that holds it failed to store data: {source}; what the guest wrote last may be lost, look at the host's log and check the device",
    ),
    message("{file} does not exist; put it back or choose another image"),
    message(
        "{file} may not be written to; change its permissions or choose it again in the file dialog",
    ),
    message("{file} may not be read; change its permissions or choose it again in the file dialog"),
    message(
        "{file} is in use by another machine or program; shut that down, or attach the image read-only in both",
    ),
    message("{file} is not a file or a disk; choose an image file"),
    message("{file} is empty; choose another image or create a new disk"),
    message(
        "{file} is not a qcow2 image; set the drive's format to raw if it is a raw image, or choose another image",
    ),
    message(
        "{file} takes data from {other}, which it may do only after you have agreed to it; do so, if you know and trust both files, or join them with `guesthouse disk convert`",
    ),
    message(
        "{file} takes data from {other}, which does not exist; put that file back to where it was",
    ),
    message(
        "{file} is in its own chain of backing files, or that has more than {most} links; restore it from a backup",
    ),
    message("could not open {file}: {source}"),
    message("cancelled; nothing was changed"),
    message(
        "{file} is being made by another program right now; wait for it or choose another name",
    ),
    message(
        "the copy of {file} differs from it at byte {offset}: the device or the memory of this computer is not to be trusted, or another program writes to the image; nothing was changed",
    ),
    message(
        "a fault in Guesthouse ended the work; nothing was changed; please report it with the log",
    ),
    message(
        "Connect the network or the drive that holds it again, then resume; nothing is lost until the machine is switched off.",
    ),
    message(
        "Look at this computer's log and check the device, then resume to try again; if it stays so, switch the machine off and copy the disk to another device.",
    ),
    message("The hard disk {number}: {cause}."),
    message("The optical drive {number}: {cause}."),
    message("has a backing file that is neither raw nor qcow2"),
    message("keeps its data in another file and does not say in which"),
    message("takes data from {name}, which is not a file"),
    message("has version {version} of the qcow2 format"),
    message("is compressed in another way than zlib and zstd"),
    message("is encrypted"),
    message("needs a feature of the qcow2 format that is unknown here"),
    message("was not closed properly by the program that used it last"),
    message("join both into one image with `guesthouse disk convert`"),
    message("join both with `guesthouse disk convert`"),
    message("restore it from a backup"),
    message("convert it with the program that made it"),
    message(
        "{file} holds only what differs from an image that it does not name, which does not exist; put that back, or name its new place with \"guesthouse disk rebase --unsafe\"",
    ),
    message("{file} {reason}; {remedy}"),
];
