# A small Linux: Debian 12's kernel with the drivers of every device that machines have, and busybox, all in memory. It comes to a login on
# the first screen and on the first serial port; root has no password.
# shellcheck shell=bash disable=SC2154

linux() {
    # shellcheck disable=SC2086
    fetch bookworm linux-image busybox-static syslinux $efi_packages libc6 efibootmgr libefivar1 libefiboot1 libpopt0 evtest libevdev2 \
        ethtool libmnl0 netcat-openbsd libbsd0 libmd0
    local tree=$work/initramfs version kernel modules busybox=$work/packages/bin/busybox
    kernel=$(echo "$work"/packages/boot/vmlinuz-*)
    version=${kernel##*/vmlinuz-}
    modules=$work/packages/lib/modules/$version/kernel
    mkdir -p "$tree"/{bin,sbin,etc/acpi/PWRF,proc,sys,dev,tmp,root,mnt,run,var/log,etc/udhcpc} "$tree/lib/modules/$version"
    cp "$busybox" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    ln -s bin/busybox "$tree/init"
    # Where the kernel looks for it, when a file system's driver is wanted.
    ln -s ../bin/busybox "$tree/sbin/modprobe"

    local name
    # Folders and single modules; what they need is in one of them too.
    for name in drivers/{ata,cdrom,virtio,input,char/hw_random,char/virtio_console.ko,scsi/scsi_mod.ko,scsi/scsi_common.ko,scsi/sd_mod.ko,scsi/sr_mod.ko} \
        drivers/{scsi/virtio_scsi.ko,block/virtio_blk.ko,block/floppy.ko,net/virtio_net.ko,net/net_failover.ko,net/ethernet/intel/e1000} \
        drivers/{net/ethernet/intel/e1000e,acpi/button.ko,gpu/drm/drm.ko,gpu/drm/drm_kms_helper.ko,gpu/drm/drm_vram_helper.ko} \
        drivers/{gpu/drm/drm_ttm_helper.ko,gpu/drm/drm_shmem_helper.ko,gpu/drm/ttm,gpu/drm/tiny,gpu/drm/virtio,hid,usb/common,usb/core} \
        drivers/{usb/host,i2c/busses/i2c-piix4.ko,parport,rtc,watchdog,tty/serial,powercap,ptp,pps,virtio,nvme,block/loop.ko} \
        block fs/{ext4,jbd2,mbcache.ko,isofs,fat,nls,fuse,9p,netfs,fscache,udf,efivarfs} net/{core,9p,packet,vmw_vsock} lib crypto arch/x86/crypto; do
        if [ -e "$modules/$name" ]; then
            mkdir -p "$tree/lib/modules/$version/kernel/$(dirname "$name")"
            cp -r "$modules/$name" "$tree/lib/modules/$version/kernel/$(dirname "$name")/"
        fi
    done
    cp "$work/packages/lib/modules/$version"/modules.{builtin,order} "$tree/lib/modules/$version/"
    # Never loaded, and they say so in the kernel's log.
    find "$tree/lib/modules" \( -name 'tcrypt*' -o -name 'test_*' -o -name '*_test.ko' -o -name '*torture*' \) -delete
    programs "$tree" efibootmgr evtest ethtool nc.openbsd
    "$busybox" depmod -b "$tree" "$version"

    cat >"$tree/etc/inittab" <<'CONFIG'
::sysinit:/etc/rc
tty1::respawn:/bin/busybox getty -i 38400 tty1 linux
tty2::respawn:/bin/busybox getty -i 38400 tty2 linux
ttyS0::respawn:/bin/busybox getty -i -L 115200 ttyS0 vt100
::ctrlaltdel:/bin/busybox reboot
::shutdown:/bin/busybox umount -a -r
CONFIG
    cat >"$tree/etc/rc" <<'CONFIG'
#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
hostname guest
echo "Userland reached." >/dev/console
# The adapter's own driver has no text mode, which tests read: only when asked for.
mkdir -p /etc/modprobe.d
grep -qw graphics /proc/cmdline || echo 'blacklist bochs' >/etc/modprobe.d/text.conf
# Drivers for all devices; a second time for those that the first brought forth.
for turn in 1 2; do
    find /sys/devices -name modalias -exec cat {} + | sort -u | while read -r alias; do modprobe -qb "$alias"; done 2>/dev/null
done
for module in sd_mod sr_mod evdev mousedev psmouse button ext4 isofs vfat virtio_console efivarfs; do modprobe -q "$module"; done 2>/dev/null
mount -t efivarfs efivarfs /sys/firmware/efi/efivars 2>/dev/null
ip link set lo up
acpid -l /var/log/acpid
[ ! -x /etc/rc.local ] || /etc/rc.local
CONFIG
    cat >"$tree/etc/acpi/PWRF/00000080" <<'CONFIG'
#!/bin/sh
poweroff
CONFIG
    cat >"$tree/etc/udhcpc/default.script" <<'CONFIG'
#!/bin/sh
case $1 in
deconfig) ip link set "$interface" up ;;
bound | renew)
    ip address flush dev "$interface"
    ip address add "$ip/${mask:-24}" dev "$interface"
    for one in $router; do ip route add default via "$one" dev "$interface"; done
    for one in $dns; do echo "nameserver $one"; done >/etc/resolv.conf
    ;;
esac
CONFIG
    chmod +x "$tree/etc/rc" "$tree/etc/acpi/PWRF/00000080" "$tree/etc/udhcpc/default.script"
    echo 'root::0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
    echo 'root:x:0:' >"$tree/etc/group"
    printf 'Guesthouse test system \\r on \\l\n\n' >"$tree/etc/issue"
    enter_root sh -c 'cd "$1" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0 | gzip -6' sh "$tree" >"$made/linux-initramfs"
    cp "$kernel" "$made/linux-kernel"

    local boot=$work/boot append='append initrd=initramfs console=tty0 console=ttyS0,115200'
    mkdir "$boot"
    cp "$made/linux-kernel" "$boot/kernel"
    cp "$made/linux-initramfs" "$boot/initramfs"
    printf 'prompt 0\ntimeout 1\ndefault linux\nlabel linux\nkernel kernel\n%s\n' "$append" >"$boot/isolinux.cfg"
    efi_boot "$boot" /kernel /initramfs 'console=tty0 console=ttyS0,115200'
    bootable "$made/linux.iso" GUESTHOUSE_LINUX "$boot"

    # The same on a hard disk.
    boot_disk "$made/linux-disk.img" 96 "$boot" 'console=tty0 console=ttyS0,115200'
}
