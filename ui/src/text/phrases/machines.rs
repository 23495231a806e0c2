//! What is said of machines: their definitions, the library that they are in, their memory, firmware, keyboard and drives.

use crate::text::message;

/// A definition that asks for what cannot be.
pub const DEFINITION: &[&str] = &[
    message("a machine needs a name"),
    message("a name has at most 64 characters"),
    message("a name cannot hold {character}"),
    message("a name cannot be '.' or '..'"),
    message(
        "{text} is not the address of a network card; write six hexadecimal numbers, as in 02:12:34:56:78:9a",
    ),
    message(
        "{text} is not a forward; write [tcp:|udp:][HOST-ADDRESS:]HOST-PORT:[GUEST-ADDRESS:]GUEST-PORT, as in 2222:22",
    ),
    message(
        "A generation 1 machine starts by BIOS: what was installed for UEFI does not start unless its disk also has a boot loader for a BIOS.",
    ),
    message("Secure Boot is switched off: a BIOS does not know it."),
    message(
        "The firmware's variables (boot entries, keys) stay in the machine's folder and count again when it becomes generation 2.",
    ),
    message(
        "A generation 2 machine starts by UEFI: what was installed for a BIOS does not start unless its disk also has an EFI system partition with a boot loader.",
    ),
    message(
        "A generation 2 machine needs a 64-bit operating system that knows UEFI; DOS and systems of before about 2010 do not start.",
    ),
    message(
        "Its drives are connected by {bus} from now on: a guest that names them by their place (/dev/hda, /dev/sda) or has no driver for {bus} does not find them.",
    ),
    message("Another drive of this machine uses this image too; choose another."),
    message("A relative path cannot lead out of the machine's folder; give the whole path."),
    message("The image may not be written to; change its permissions or attach it read-only."),
    message(
        "The image looks like qcow2 but is attached as raw; the guest sees the file itself. Set the format to qcow2 unless that is meant.",
    ),
    message("The image is not qcow2; set the format to raw or choose another image."),
    message("A machine has {most} network cards at most; remove one."),
    message(
        "A card cannot have this address: it stands for several. Choose one that begins with 02.",
    ),
    message("Another card of this machine has this address too; choose another."),
    message("Choose a virtual switch, or \"none\" for a cable that is not plugged in."),
    message("A card has {most} forwards at most; remove some."),
    message("The card is not attached to a switch; its forwards lead nowhere."),
    message("A port is 1 to 65535."),
    message("Another forward of this machine uses this port too; choose another."),
    message("Most hosts let only the administrator use ports below 1024; choose a higher one."),
    message(
        "Other computers can reach the guest through this port; choose 127.0.0.1 for this computer alone.",
    ),
    message(
        "This machine was made by a newer version of Guesthouse; update it to run the machine.",
    ),
    message("A machine needs at least one processor."),
    message("A machine can have at most {most} processors."),
    message(
        "The host has {own} processors: the machine's {count} take turns and are slower than as many as the host has.",
    ),
    message(
        "Sockets, cores and threads do not fit the number of processors: cores have one or two threads, sockets have the same number of cores, and where there are several, that is 1, 2, 4, 8 and so on.",
    ),
    message("A machine needs at least 1 MiB of memory."),
    message("The host has {size} MiB of memory; give the machine less."),
    message(
        "Only {free} MiB of memory are free now; close other programs or give the machine less before you start it.",
    ),
    message("That is more than three quarters of the {free} MiB that are free now."),
    message(
        "A generation 1 machine has a BIOS, which knows no Secure Boot; switch it off or choose generation 2.",
    ),
    message(
        "No UEFI firmware on this computer knows Secure Boot without system management mode: the machine does not start before it is switched off.",
    ),
    message("{bus} connects {places} drives at most; remove one or use another bus."),
    message("A generation 2 machine has no IDE; connect the drive by SATA."),
    message("A generation 1 machine has no SATA; connect the drive by IDE."),
    message("A hard disk needs an image file; choose one or remove the disk."),
    message("Virtio connects hard disks only; connect the optical drive in another way."),
    message("Two drives have the same place in the boot order; the first of them is tried first."),
    message("Or eject it."),
];

/// The library and the files in it.
pub const LIBRARY: &[&str] = &[
    message("there is no machine called {name}; `guesthouse list` shows those that there are"),
    message(
        "{folder}, where your machines are, is not there; connect the disk that it is on, or choose another folder in the preferences",
    ),
    message("the folder of machines is not known: set HOME, or name one with --machines"),
    message("a machine called {name} exists already; choose another name"),
    message("{machine} is in use; shut it down first"),
    message("{machine} is in use by process {number}; shut it down first"),
    message(
        "{file} cannot be understood: {message}; correct the file in a text editor or restore it from a backup",
    ),
    message(
        "{file}, line {line}, cannot be understood: {message}; correct the file in a text editor or restore it from a backup",
    ),
    message(
        "{file} was written by a newer version of Guesthouse (schema {schema}); update Guesthouse to use the machine",
    ),
    message(
        "{file} was changed by another program meanwhile; look at the machine again, then repeat the change",
    ),
    message(
        "a disk cannot be called {file}; choose a file name without '/' that no other file of the machine has",
    ),
    message(
        "{other} uses {image}, which is in the folder of the machine; remove the drive from {other} first",
    ),
    message(
        "{folder} could not be moved to the Trash: {reason}; move it elsewhere by hand, or delete it permanently",
    ),
    message(
        "{folder} could not be restored from the Trash: {reason}; look for it in the Trash of the file manager",
    ),
    message(
        "could not {action} {path}: {source}; check that you may write there and that the file system has space",
    ),
    message("A disk has 1 MiB to 64 TiB, in whole sectors of 512 bytes."),
    message(
        "Files on this file system (FAT) are smaller than 4 GiB; choose a smaller disk or another folder.",
    ),
    message(
        "Only {free} MiB are free there. The disk takes space as the guest fills it; the machine pauses if none is left.",
    ),
    message(
        "The file calls its operating system “{name}”, which is not known; choose it if it is in the list.",
    ),
    message("The file does not say which operating system it has; choose it if it is in the list."),
    message("It had {count} processors; this computer has {most}."),
    message("It had {size} MiB of memory, which is more than this computer has."),
    message("It had {count} network cards; the new machine has one, and others can be added."),
    message("There is no disk in the file."),
    message("{machine} uses this image too; choose another, or attach it read-only in both."),
    message("it cannot be read: {source}"),
    message("generation {number} is not one that this version can run; use 1 or 2"),
    message("it was written by a newer version of Guesthouse (schema {schema})"),
    message("it is not a file"),
    message("it is longer than 1 MiB"),
    message("set HOME to a folder of yours"),
    message("something else is there now"),
    message("there is no trash on its volume, {path}, and none can be made"),
];

/// A machine that starts, runs or is given something.
pub const MACHINE: &[&str] = &[
    message(
        "the machine needs {needed} MiB of memory and {free} MiB are free; close other programs or give the machine less memory",
    ),
    message(
        "could not open {file}: {source}; choose another file for the optical drive, or empty it",
    ),
    message(
        "the machine has room for {most} cards (network adapters, virtio devices); remove some",
    ),
    message(
        "the host did not give what the machine needs: {source}; close other programs and try again",
    ),
    message("a fault in Guesthouse kept the machine from starting: {cause}"),
    message("the machine has {count} network cards, and card {number} is not one of them"),
    message("the machine is not running; start it first"),
    message("the machine has no optical drive number {number}; add one while it is off"),
    message("the machine has no memory balloon; add one while it is off"),
    message(
        "the guest has locked the medium in the drive; eject it in the guest first, or force it out",
    ),
    message("the medium was not changed: {reason}"),
    message("the machine could not go on: {cause}"),
    message("there is no optical drive in that place"),
    message("the guest has locked the drive; eject the medium inside the guest, or force it out"),
    message("there is a medium in the drive; eject it first"),
    message(
        "could not start the thread of {name}: {source}; the host may have no more threads to give",
    ),
    message(
        "could not reserve {size} bytes of memory for {part}: {source}; close other programs or give the machine less memory",
    ),
    message(
        "there is no key called {name}; examples of names: a, 1, f12, ctrl, alt, shift, super, delete, enter, esc, tab, space, up, page-up, print-screen",
    ),
    message("{character} cannot be typed on a US keyboard; leave it out"),
    message("{characters} cannot be typed on this keyboard; leave that out"),
    message(
        "the firmware file {file} is not installed; install the package {packages}, or set {variable} to the folder that holds it (looked in {directories})",
    ),
    message("could not read the firmware file {path}: {source}"),
    message(
        "no UEFI firmware is installed that knows Secure Boot without system management mode, which machines here do not have (the builds of most distributions need it); switch Secure Boot off, use the Flatpak of Guesthouse, which brings such a build, or describe one in /etc/qemu/firmware",
    ),
    message("{path} is not the firmware it should be: {fault}; reinstall the package {packages}"),
    message("{count} processors are more than a machine can have; give it {most} or fewer"),
    message("a machine needs at least one processor"),
    message(
        "could not {action} the firmware's variables in {file}: {source}; check that the folder can be written to and has room",
    ),
    message(
        "{file} does not hold the variables of this firmware ({template}): it is damaged, or the firmware was replaced by one of another layout; restore it from a backup, or move it away to start with new variables",
    ),
    message("{cause}. They are stored with the guest's next change to them."),
    message("its thread ended"),
    message("the processors cannot be put together"),
    message("a card was not made"),
    message("a card was put into no slot"),
    message("no reason given"),
    message("it does not begin like an expansion ROM"),
    message("it is not 256 KiB long"),
    message("it is longer than 64 KiB"),
    message("it is longer than 16 MiB"),
    message("it is not a number of whole pages long"),
    message("it does not begin with a firmware volume"),
    message("it is no empty store of variables, which keys for Secure Boot could be added to"),
    message(
        "seabios (Debian, Ubuntu, Arch), seabios-bin (Fedora, Gentoo) or qemu-seabios (openSUSE)",
    ),
    message(
        "seabios (Debian, Ubuntu, Arch), seavgabios-bin (Fedora), seabios-bin (Gentoo) or qemu-vgabios (openSUSE)",
    ),
    message("ipxe-qemu (Debian, Ubuntu), ipxe-roms-qemu (Fedora) or qemu-ipxe (openSUSE)"),
    message(
        "ovmf (Debian, Ubuntu), edk2-ovmf (Fedora, Arch, Gentoo) or qemu-ovmf-x86_64 (openSUSE)",
    ),
];
