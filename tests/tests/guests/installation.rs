//! An installation of Debian without a person: a system on a disk partitions a second one, unpacks and configures the packages of a CD there,
//! and writes the boot loader; then the machine starts from that disk alone.

use guesthouse_engine::definition::{Drive, ImageFormat};
use guesthouse_engine::disk;
use guesthouse_engine::machine::State;
use guesthouse_tests::guest::Guest;
use guesthouse_tests::image::assert_sound;
use guesthouse_tests::matrix::{Cell, Row};
use guesthouse_tests::media::gathered;

use super::Kind;
use super::desktop;
use super::linux::{BOOT, COMMAND};

/// Bytes of the new disk.
const SIZE: u64 = 4 << 30;

/// Each step of the installation and how long it may take. `$disk` is the new one.
fn steps(uefi: bool) -> Vec<(&'static str, String, u64)> {
    let (table, partitions, loader, install) = if uefi {
        (
            "gpt",
            "size=64M, type=U\\ntype=L\\n",
            "grub-efi-amd64",
            "grub-install --target=x86_64-efi --efi-directory=/boot/efi --no-nvram --removable",
        )
    } else {
        (
            "dos",
            "type=L, bootable\\n",
            "grub-pc",
            "grub-install --target=i386-pc $disk",
        )
    };
    let system = if uefi { "${disk}2" } else { "${disk}1" };
    let mut steps = vec![
        (
            "the CD",
            "mkdir -p /medium /target; mount -o ro /dev/sr0 /medium && ls /medium/dists".to_owned(),
            COMMAND,
        ),
        (
            "partitions",
            format!(
                "printf 'label: {table}\\n{partitions}' | sfdisk --quiet $disk && udevadm settle && \
                 mke2fs -q -t ext4 -L installed {system} && mount {system} /target"
            ),
            COMMAND,
        ),
    ];
    if uefi {
        steps.push((
            "the system partition of the firmware",
            "mkfs.vfat -n EFI ${disk}1 && mkdir -p /target/boot/efi && mount ${disk}1 /target/boot/efi"
                .to_owned(),
            COMMAND,
        ));
    }
    let fstab = if uefi {
        "LABEL=installed / ext4 errors=remount-ro 0 1\\nLABEL=EFI /boot/efi vfat umask=0077 0 1\\n"
    } else {
        "LABEL=installed / ext4 errors=remount-ro 0 1\\n"
    };
    steps.extend([
        (
            "packages",
            format!(
                "debootstrap --no-check-gpg --variant=minbase --include=linux-image-amd64,{loader},systemd-sysv,udev,dbus bookworm /target file:///medium \
                 || {{ tail -n 40 /target/debootstrap/debootstrap.log; false; }}"
            ),
            24 * COMMAND,
        ),
        (
            "settings",
            format!(
                "printf '{fstab}' >/target/etc/fstab; echo installed >/target/etc/hostname; chroot /target passwd --quiet --delete root; \
                 printf 'GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0,115200\"\\nGRUB_TIMEOUT=1\\n' >>/target/etc/default/grub"
            ),
            COMMAND,
        ),
        (
            "the boot loader",
            format!(
                "for name in dev proc sys; do mount --rbind /$name /target/$name; done; \
                 disk=$disk chroot /target sh -c '{install} 2>&1 && update-grub 2>&1'"
            ),
            4 * COMMAND,
        ),
        (
            "the end",
            "umount -R /target; umount /medium; sync".to_owned(),
            COMMAND,
        ),
    ]);
    steps
}

/// Installs Debian and starts what was installed.
pub fn debian_installed(kind: Kind) {
    let mut row = Row::new(
        "Debian 12, installed by debootstrap",
        kind.name,
        &[Cell::Boots, Cell::Disk, Cell::Cd, Cell::Installs],
    );
    let mut definition = desktop::machine(kind, 1024, 1);
    definition
        .drives
        .push(Drive::disk("installed.qcow2".into(), ImageFormat::Qcow2));
    definition
        .drives
        .push(Drive::optical(Some(gathered("debian-12-packages.iso"))));
    let installer = kind.start(definition.clone(), |folder| {
        std::fs::copy(gathered("debian-desktop.qcow2"), folder.join("disk.qcow2")).unwrap();
        disk::create_disk(&folder.join("installed.qcow2"), ImageFormat::Qcow2, SIZE).unwrap();
    });
    installer.log_in(2 * BOOT);
    row.boots();
    installer.shell(
        "root=$(findmnt -no SOURCE / | tr -d 0-9); disk=$(ls /dev/[sv]d[a-z] | grep -v $root); export disk; [ -b $disk ]",
        COMMAND,
    );
    for (name, command, seconds) in steps(kind.is_uefi()) {
        installer.shell(&command, seconds);
        eprintln!("    {name}, {:.0} s", installer.age().as_secs_f64());
    }
    row.works(Cell::Cd);
    installer.judge_kernel_messages(COMMAND);
    installer.machine.shutdown().unwrap();
    assert_eq!(
        installer.wait_for_state(BOOT, |state| !state.is_alive()),
        State::Off
    );
    let image = installer.folder().join("installed.qcow2");
    assert_sound(&image);
    row.works(Cell::Disk);
    row.works(Cell::Installs);

    let mut row = Row::new(
        "Debian 12, as it was installed",
        kind.name,
        &[
            Cell::Boots,
            Cell::Keyboard,
            Cell::Disk,
            Cell::Reboots,
            Cell::ShutsDown,
        ],
    );
    definition.drives.clear();
    definition.drives.push(Drive {
        boot: Some(1),
        ..Drive::disk("disk.qcow2".into(), ImageFormat::Qcow2)
    });
    let guest = kind.start(definition, |folder| {
        std::fs::rename(&image, folder.join("disk.qcow2")).unwrap();
    });
    guest.log_in(2 * BOOT);
    row.boots();
    let said = guest.shell(
        "hostname; findmnt -no SOURCE /; systemctl is-system-running --wait",
        COMMAND,
    );
    assert!(
        said.trim_start().starts_with("installed\n") && said.contains("running"),
        "{said}"
    );
    row.works(Cell::Disk);
    guest.judge_kernel_messages(COMMAND);
    restart(&guest);
    row.works(Cell::Keyboard);
    row.works(Cell::Reboots);
    guest.machine.shutdown().unwrap();
    assert_eq!(
        guest.wait_for_state(BOOT, |state| !state.is_alive()),
        State::Off
    );
    row.works(Cell::ShutsDown);
    assert_sound(&guest.folder().join("disk.qcow2"));
}

/// The keyboard's Ctrl+Alt+Delete restarts the system.
fn restart(guest: &Guest) {
    guest.shell("echo before >/root/kept", COMMAND);
    let mark = guest.serial_mark();
    guest.press("ctrl-alt-delete");
    guest.wait_for_serial_since(mark, "installed login: ", 2 * BOOT);
    guest.log_in_since_restart(COMMAND);
    assert_eq!(guest.shell("cat /root/kept", COMMAND).trim(), "before");
}
