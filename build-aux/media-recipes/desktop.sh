# Debian 12 on a disk, made by debootstrap: systemd, X with a window manager and a terminal for root, who has no password.
# shellcheck shell=bash disable=SC2154

# in_desktop COMMAND...: runs COMMAND in the system being made.
in_desktop() {
    as_root "$source_dir/build-aux/chroot-run" "$system" 0 0 / "" env -u TMPDIR DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

desktop() {
    local system=$work/system mirror
    mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\) trixie main.*/\2/p' "$root/etc/apt/sources.list" | head -n 1)
    enter_root debootstrap --variant=minbase --include=\
linux-image-amd64,systemd-sysv,udev,dbus,libpam-systemd,login,kmod,procps,iproute2,initramfs-tools,zstd,stress-ng,fio,pciutils,debootstrap,fdisk,dosfstools,\
xserver-xorg-core,xserver-xorg-input-libinput,xinit,x11-xserver-utils,openbox,xterm bookworm "$system" "$mirror"

    printf 'desktop\n' | as_root tee "$system/etc/hostname" >/dev/null
    printf 'LABEL=root / ext4 errors=remount-ro 0 1\n' | as_root tee "$system/etc/fstab" >/dev/null
    in_desktop passwd --quiet --delete root
    # Only what disks of machines need to be found; the rest comes from the disk.
    as_root sed -i 's/^MODULES=.*/MODULES=list/' "$system/etc/initramfs-tools/initramfs.conf"
    printf '%s\n' ata_piix ahci sd_mod virtio_pci virtio_blk virtio_scsi ext4 | as_root tee "$system/etc/initramfs-tools/modules" >/dev/null
    in_desktop update-initramfs -u
    # In the nested rig a serial port may take longer to be found than the 90 seconds after which nobody could log in there.
    as_root mkdir -p "$system/etc/systemd/system.conf.d"
    as_root tee "$system/etc/systemd/system.conf.d/patience.conf" >/dev/null <<'CONFIG'
[Manager]
DefaultTimeoutStartSec=1h
DefaultDeviceTimeoutSec=1h
CONFIG
    as_root mkdir -p "$system/etc/systemd/system/getty@tty1.service.d"
    as_root tee "$system/etc/systemd/system/getty@tty1.service.d/autologin.conf" >/dev/null <<'CONFIG'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear %I $TERM
CONFIG
    as_root tee "$system/root/.profile" >/dev/null <<'CONFIG'
if [ "$(tty)" = /dev/tty1 ]; then exec startx -- -nolisten tcp >/var/log/startx 2>&1; fi
CONFIG
    as_root tee "$system/root/.xinitrc" >/dev/null <<'CONFIG'
xset s off -dpms
xsetroot -solid '#205080'
# The terminal comes when there is a window manager to give it the keyboard.
exec openbox --startup "xterm -geometry 80x24+40+40 -fa '' -bg white -fg black -e /root/terminal"
CONFIG
    as_root tee "$system/root/terminal" >/dev/null <<'CONFIG'
#!/bin/sh
PS1="desktop# " exec sh
CONFIG
    as_root chmod +x "$system/root/terminal"
    as_root rm -rf "$system"/var/cache/apt/archives/*.deb "$system"/var/lib/apt/lists/*

    local disk=$work/disk boot=$work/boot
    mkdir "$boot"
    as_root cp "$system"/boot/vmlinuz-* "$boot/kernel"
    as_root cp "$system"/boot/initrd.img-* "$boot/initramfs"
    as_root chmod a+r "$boot"/*
    # shellcheck disable=SC2086
    fetch bookworm syslinux $efi_packages
    boot_disk "$disk" 96 "$boot" 'root=LABEL=root console=tty0 console=ttyS0,115200'
    truncate -s 3G "$disk"
    # The second partition: Linux (83h), from behind the first to the end.
    local first=$(((96 + 1) * 2048)) count=$(((3072 - 97) * 2048))
    partition "$disk" 2 0 131 "$first" "$count"
    as_root mke2fs -q -t ext4 -L root -d "$system" -E "offset=$((first * 512))" "$disk" "$((count / 2))k"
    enter_root qemu-img convert -f raw -O qcow2 "$disk" "$made/debian-desktop.qcow2"
    as_root rm -rf --one-file-system "$system"
}
