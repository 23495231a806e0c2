//! What is said of media to start from, of this computer’s virtualization, and of guests that KVM cannot run.

use crate::text::message;

/// Media.
pub const MEDIA: &[&str] = &[
    message(
        "{path} cannot be read: permission denied; change its permissions, or choose it through the file dialog",
    ),
    message("{path} is not there any more; was it moved, or the drive with it removed?"),
    message("{path} is a folder; choose a file in it"),
    message("{path} is neither a file nor a drive; choose a file"),
    message("{path} is empty; was its download interrupted?"),
    message("{path} has {size} bytes only, too few for a medium; was its download interrupted?"),
    message("could not read {path}: {source}"),
    message("It is {kind}; {remedy}."),
    message("a file compressed with {name}"),
    message("a ZIP archive"),
    message("a 7-Zip archive"),
    message("a RAR archive"),
    message("a tar archive"),
    message("an image of a CD's raw sectors (BIN/CUE)"),
    message("a VMware disk image (VMDK)"),
    message("a VirtualBox disk image (VDI)"),
    message("a Virtual PC disk image (VHD)"),
    message("a Hyper-V disk image (VHDX)"),
    message("unpack it first: {command}"),
    message("take the disk out first: {command}"),
    message("convert it first: {command}"),
    message("It is neither an optical disc's image nor a disk image; choose another file."),
    message(
        "It is a disc without a boot record; it can be used in a machine that starts from something else.",
    ),
    message("There is no boot code on the disk; nothing that starts is installed there."),
    message(
        "It starts on machines with UEFI only, and a generation 1 machine has a BIOS; choose generation 2, or a medium that also starts from a BIOS.",
    ),
    message(
        "It starts on machines with a BIOS only, and a generation 2 machine has UEFI; choose generation 1.",
    ),
    message(
        "It is for 32-bit processors, and a generation 2 machine starts 64-bit systems; choose generation 1 or the medium for x86_64.",
    ),
    message(
        "It is for {architecture} processors; choose the medium for x86_64 (also called amd64).",
    ),
    message(
        "{name} is made for machines with UEFI; its installer may refuse a generation 1 machine.",
    ),
    message(
        "The file has {actual} bytes, but the disc in it has {expected}: it is not whole; download or copy it again.",
    ),
    message("The disc's boot catalog is damaged; download or copy the file again."),
    message(
        "What the disc starts from lies beyond the end of the file; download or copy the file again.",
    ),
];

/// KVM and the processor.
pub const HOST: &[&str] = &[
    message("KVM could not {action}: {source}"),
    message("The device is not KVM"),
    message("{path} does not answer as KVM's interface 12 does (but {version})."),
    message("Check what {path} is; after a kernel update, restart the computer."),
    message("This kernel's KVM is too old or cut down"),
    message("It lacks {feature}."),
    message("Use a kernel of Linux 5.10 or newer with KVM switched on."),
    message("Guesthouse may not use virtualization"),
    message("{path} is not in the Flatpak's sandbox."),
    message(
        "Run \"flatpak override --user --device=kvm {application}\" and start Guesthouse again. If that changes nothing, the computer itself has no {path}: switch virtualization (VT-x, AMD-V or SVM) on in its firmware settings.",
    ),
    message("KVM is not loaded"),
    message("The processor can run virtual machines, but {path} is missing."),
    message(
        "Run \"sudo modprobe {module}\". If that fails, switch virtualization (VT-x, AMD-V or SVM) on in the computer's firmware settings.",
    ),
    message("Virtualization is off"),
    message("{path} is missing and the processor does not offer virtualization."),
    message(
        "Switch virtualization (VT-x, AMD-V or SVM) on in the computer's firmware settings. Within another virtual machine, switch nested virtualization on there.",
    ),
    message("You may not use virtualization"),
    message("You have no permission to open {path}."),
    message("Run \"sudo usermod -aG kvm $USER\", then log out and in again."),
    message("Another program uses virtualization"),
    message("{path} is busy."),
    message(
        "Close the other program's virtual machines (VirtualBox or VMware, say), then check again.",
    ),
    message("{path} is there, but nothing stands behind it."),
    message(
        "Run \"sudo modprobe kvm_intel\" or \"sudo modprobe kvm_amd\"; if that fails, switch virtualization on in the computer's firmware settings.",
    ),
    message("Virtualization cannot be used"),
    message("{path} could not be opened: {source}."),
    message("Look into the kernel's log (\"sudo dmesg\") for lines about kvm."),
    message("This computer cannot run generation 2 machines"),
    message(
        "Its KVM emulates what runs below a guest's programs and does not know an instruction that every UEFI firmware starts with: the machine would stop before it shows anything.",
    ),
    message(
        "Choose generation 1, or run the machine on a computer with hardware virtualization (VT-x or AMD-V).",
    ),
    message("A virtual machine could not be tried: {source}."),
    message("KVM says that the processor's virtualization is in use."),
    message(
        "Close the other program's virtual machines (VirtualBox or VMware, say), then try again.",
    ),
    message(
        "The guest went on {place}, where there is no memory to hold a program: it has lost its way. Reset the machine; if it happens again, the guest's software is damaged or does not know this kind of machine.",
    ),
    message(
        "The host could not carry out an instruction {place} (bytes {bytes}). These are no instructions: the guest has lost its way. Reset the machine; if it happens again, the guest's software is damaged or does not know this kind of machine.",
    ),
    message(
        "The host could not carry out an instruction {place} (bytes {bytes}). This computer's KVM (KVM-PVM) emulates what runs below a guest's programs and does not know every instruction; run this guest on a computer with hardware virtualization.",
    ),
    message(
        "The host could not carry out an instruction {place} (bytes {bytes}). The guest uses an instruction that this computer's KVM cannot emulate; try another version of the guest, or the other generation of machine.",
    ),
    message("at address {address}"),
    message(
        "The processor failed while it took an interrupt {place}. The guest's interrupt tables may be damaged; reset the machine.",
    ),
    message(
        "KVM reported internal error {number} {place}. The kernel's log (\"sudo dmesg\") may tell more.",
    ),
    message(
        "The processor refused to enter the guest (hardware reason {reason}). On an old Intel processor without \"unrestricted guest\", 16-bit programs may not run; the kernel's log (\"sudo dmesg\") may tell more.",
    ),
    message("KVM stopped the guest for a reason that Guesthouse does not know: {reason}."),
    message("KVM could not run the guest: {source}."),
    message("The processor stopped."),
    message("A fault in Guesthouse stopped it: {cause}."),
    message("A fault in Guesthouse stopped processor {number}: {cause}."),
    message("A processor could not be reset: {reason}."),
];

/// What KVM could not do, what it lacks, and what memory is for.
pub const HYPERVISOR: &[&str] = &[
    message("make a virtual machine"),
    message("reserve its identity map"),
    message("reserve its task state"),
    message("say what processors it offers"),
    message("make a virtual processor"),
    message("describe a virtual processor"),
    message("start a processor"),
    message("reserve a page"),
    message("place the guest's memory"),
    message("place memory where it does not fit"),
    message("map the ring of collected writes"),
    message("make the interrupt controllers"),
    message("make the interval timer"),
    message("wire the interrupt controllers"),
    message("read an interrupt controller"),
    message("read the interval timer"),
    message("reset an interrupt controller"),
    message("reset the interval timer"),
    message("read a processor's registers"),
    message("read a processor's system registers"),
    message("read a local APIC"),
    message("read a processor's extended state"),
    message("read a processor's extended control registers"),
    message("read a processor's debug registers"),
    message("read a processor's events"),
    message("reset a processor's registers"),
    message("reset a processor's system registers"),
    message("reset a processor's extended state"),
    message("reset a processor's extended control registers"),
    message("reset a processor's debug registers"),
    message("reset a local APIC"),
    message("reset a processor's events"),
    message("interrupt controllers in the kernel"),
    message("the interval timer in the kernel"),
    message("memory slots"),
    message("read-only memory slots"),
    message("immediate exit"),
    message("processor identification"),
    message("a place for its task state"),
    message("main memory"),
    message("main memory above 4 GiB"),
    message("firmware below 1 MiB"),
    message("firmware variables"),
    message("network boot"),
    message("firmware probe"),
    message("video memory"),
    message("video ROM"),
];
