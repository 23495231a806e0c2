# What the machine on the program's own pictures boots (build-aux/screenshots).
# shellcheck shell=bash disable=SC2154

# Debian's installer with a boot menu by GRUB that looks as Debian's does on UEFI machines, and with the label of its network installer, by which it
# is recognised. Unlike ISOLINUX, GRUB runs where KVM emulates 16-bit code.
boot_menu() {
    local tree=$work/boot-menu title options uuid
    mkdir "$tree"
    enter_root xorriso -osirrox on -indev "$media/debian-12-graphical.iso" -extract /debian-installer "$tree/debian-installer"
    chmod -R u+w "$tree"
    {
        printf 'insmod all_video\ninsmod gfxterm\ninsmod gfxmenu\ninsmod png\nloadfont unicode\nset gfxmode=640x480\nset gfxpayload=keep\n'
        printf 'terminal_output gfxterm\nset theme=/boot/grub/theme.txt\n'
        while IFS=: read -r title options; do
            printf 'menuentry "%s" {\n    linux /debian-installer/amd64/linux vga=788 %s\n' "$title" "$options"
            printf '    initrd /debian-installer/amd64/initrd.gz\n}\n'
        done <<'ENTRIES'
Graphical install:--- quiet
Install:DEBIAN_FRONTEND=text --- quiet
Automated install:auto=true priority=critical --- quiet
Expert install:priority=low ---
Rescue mode:rescue/enable=true --- quiet
ENTRIES
    } >"$tree/grub.cfg"
    cat >"$tree/theme.txt" <<'THEME'
desktop-image: "/debian-installer/amd64/boot-screens/splash.png"
title-text: ""
+ label {
    left = 0
    top = 25%
    width = 100%
    align = "center"
    color = "white"
    text = "Debian GNU/Linux installer menu (BIOS mode)"
}
+ boot_menu {
    left = 20%
    top = 35%
    width = 60%
    height = 45%
    item_height = 24
    item_spacing = 8
    item_color = "#9fb4b8"
    selected_item_color = "white"
}
THEME
    # GRUB looks for the medium by this time of its making.
    uuid=$(dd if="$media/grub-rescue.iso" bs=1 skip=$((16 * 2048 + 830)) count=16 status=none)
    enter_root xorriso -indev "$media/grub-rescue.iso" -outdev "$made/debian-12-boot-menu.iso" -boot_image any replay \
        -volid 'Debian 12.12.0 amd64 n' -volume_date uuid "$uuid" -map "$tree/debian-installer" /debian-installer \
        -map "$tree/grub.cfg" /boot/grub/grub.cfg -map "$tree/theme.txt" /boot/grub/theme.txt
}
