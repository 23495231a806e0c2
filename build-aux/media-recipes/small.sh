# What `make test` boots. Each function leaves its media in $made; $root is the build root, $work a scratch folder.
# shellcheck shell=bash disable=SC2154

firmware_tools() {
    fetch bookworm grub-rescue-pc memtest86+ ipxe
    local lib=$work/packages/usr/lib
    cp "$lib/grub-rescue/grub-rescue-cdrom.iso" "$made/grub-rescue.iso"
    cp "$lib/grub-rescue/grub-rescue-floppy.img" "$made/grub-rescue-floppy.img"
    cp "$lib/memtest86+/memtest86+x64.iso" "$made/memtest86plus.iso"
    cp "$lib/ipxe/ipxe.iso" "$made/ipxe.iso"
    # The same for UEFI, which nobody signed.
    mkdir -p "$work/ipxe/EFI/BOOT"
    cp "$work/packages/boot/ipxe.efi" "$work/ipxe/EFI/BOOT/BOOTX64.EFI"
    bootable "$made/ipxe-efi.iso" IPXE "$work/ipxe"
}

isolinux() {
    local tree=$work/isolinux modules=$root/usr/lib/syslinux/modules/bios
    mkdir -p "$tree"
    cp "$modules"/{menu,vesamenu,libutil,libcom32,hdt,reboot,poweroff,cat,libgpl,libmenu}.c32 "$tree/"
    cat >"$tree/isolinux.cfg" <<'CONFIG'
prompt 1
timeout 0
default menu
say Guesthouse test medium
say Commands: menu, graphics, hardware, restart, off
label menu
    kernel menu.c32
    append menu.cfg
label graphics
    kernel vesamenu.c32
    append menu.cfg
label hardware
    kernel hdt.c32
label restart
    kernel reboot.c32
label off
    kernel poweroff.c32
CONFIG
    cat >"$tree/menu.cfg" <<'CONFIG'
menu title Guesthouse test menu
label first
    menu label First entry
    kernel hdt.c32
label second
    menu label Second entry
    kernel reboot.c32
label third
    menu label Third entry
    kernel poweroff.c32
CONFIG
    bootable "$made/isolinux.iso" GUESTHOUSE_TEST "$tree"
}

# Debian's installer as text and graphical, with Debian's own boot menu, but that its first entry, instead of the one with speech, starts by
# itself, after ten seconds.
installers() {
    # shellcheck disable=SC2086
    fetch bookworm debian-installer-12-netboot-amd64 $efi_packages
    local flavour name
    for flavour in text:debian-12-text gtk:debian-12-graphical; do
        name=${flavour#*:} flavour=${flavour%:*}
        local tree=$work/installer-$flavour
        local parts=$work/packages/usr/lib/debian-installer/images/12/amd64/$flavour/debian-installer/amd64
        mkdir -p "$tree/debian-installer/amd64"
        cp -r "$parts"/{linux,initrd.gz,boot-screens} "$tree/debian-installer/amd64/"
        sed -i '/spk/d' "$tree/debian-installer/amd64/boot-screens/menu.cfg"
        sed 's/^timeout 0$/timeout 100/' "$parts/boot-screens/syslinux.cfg" >"$tree/isolinux.cfg"
        efi_boot "$tree" /debian-installer/amd64/linux /debian-installer/amd64/initrd.gz vga=788
        bootable "$made/$name.iso" "DEBIAN_12_${flavour^^}" "$tree"
    done
}
