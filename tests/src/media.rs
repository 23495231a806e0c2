//! What the tests boot: small media made here, byte by byte, and those that `build-aux/media` gathered from packages.

use std::path::PathBuf;

const SECTOR: usize = 2048;

/// The medium called `name` among those that `build-aux/media` gathered, such as "grub-rescue.iso".
///
/// # Panics
/// When it is not there: `make test` gathers it.
pub fn gathered(name: &str) -> PathBuf {
    let folder = std::env::var_os("GUESTHOUSE_TEST_MEDIA")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            cache
                .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"))
                .join("guesthouse/guests")
        });
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `make media`, which gathers what the tests boot",
        path.display()
    );
    path
}

/// An ISO 9660 medium labelled `label` whose El Torito entry, without emulation, starts `program` at 0000:7C00.
/// ECMA-119; El Torito Bootable CD-ROM Format Specification 1.0.
///
/// # Panics
/// When the program is longer than 16 KiB.
pub fn el_torito(label: &str, program: &[u8]) -> Vec<u8> {
    assert!(program.len() <= 8 * SECTOR);
    let mut image = vec![0; 64 * SECTOR];
    let mut put = |sector: usize, offset: usize, bytes: &[u8]| {
        image[sector * SECTOR + offset..][..bytes.len()].copy_from_slice(bytes);
    };
    put(16, 0, b"\x01CD001\x01");
    put(16, 40, format!("{label:<32}").as_bytes());
    put(16, 80, &[64, 0, 0, 0, 0, 0, 0, 64]);
    put(16, 128, &[0x00, 0x08, 0x08, 0x00]);
    put(17, 0, b"\x00CD001\x01EL TORITO SPECIFICATION");
    put(17, 71, &[19]);
    put(18, 0, b"\xffCD001\x01");
    // The validation entry, whose words add up to zero, and the initial entry: bootable, 4 sectors of 512 bytes a 2048.
    let mut validation = [0_u8; 32];
    validation[0] = 1;
    validation[4..8].copy_from_slice(b"TEST");
    validation[30..].copy_from_slice(&[0x55, 0xaa]);
    let sum = validation.chunks(2).fold(0_u16, |sum, word| {
        sum.wrapping_add(u16::from_le_bytes([word[0], word[1]]))
    });
    validation[28..30].copy_from_slice(&sum.wrapping_neg().to_le_bytes());
    put(19, 0, &validation);
    let sectors = u8::try_from(program.len().div_ceil(512)).unwrap().max(1);
    put(19, 32, &[0x88, 0, 0, 0, 0, 0, sectors, 0, 20]);
    put(20, 0, program);
    image
}

/// Programs for [`el_torito`] and for boot sectors, in machine code for 16-bit real mode, started at 0000:7C00.
pub mod program {
    /// Prints `text` by the BIOS: lodsb; test al, al; jz done; mov ah, 0eh; int 10h; jmp.
    fn print(text: &str, after: &[u8]) -> Vec<u8> {
        let mut code = vec![
            0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0, 0, // cld; ds = 0; mov si, text
            0xac, 0x84, 0xc0, 0x74, 0x06, 0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xf5,
        ];
        code.extend_from_slice(after);
        let place = u16::try_from(0x7c00 + code.len()).unwrap().to_le_bytes();
        code[6..8].copy_from_slice(&place);
        code.extend_from_slice(text.as_bytes());
        code.push(0);
        code
    }

    /// Prints `text`, then every key that is typed.
    pub fn echo(text: &str) -> Vec<u8> {
        // again: mov ah, 0; int 16h; mov ah, 0eh; int 10h; jmp again
        print(
            text,
            &[0xb4, 0x00, 0xcd, 0x16, 0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xf6],
        )
    }

    /// Sends `text` over the first serial port, then every byte that it receives there.
    pub fn serial_echo(text: &str) -> Vec<u8> {
        let mut code = vec![
            0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0, 0, // cld; ds = 0; mov si, text
            0xba, 0xf8, 0x03, // mov dx, 3f8h
            0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb,
            0xf8, // next: lodsb; test al, al; jz again; out dx, al; jmp next
            0xf4, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74,
            0xf7, // again: hlt; in al, 3fdh; test al, 1; jz again
            0xba, 0xf8, 0x03, 0xec, 0xee, 0xeb, 0xf0, // in al, 3f8h; out 3f8h, al; jmp again
        ];
        let place = u16::try_from(0x7c00 + code.len()).unwrap().to_le_bytes();
        code[6..8].copy_from_slice(&place);
        code.extend_from_slice(text.as_bytes());
        code.push(0);
        code
    }

    /// Prints `text` and halts for good.
    pub fn message(text: &str) -> Vec<u8> {
        print(text, &[0xf4, 0xeb, 0xfd])
    }

    /// Prints `text` and goes on with `code`.
    pub fn message_then(text: &str, code: &[u8]) -> Vec<u8> {
        print(text, code)
    }

    /// Writes `sector` (512 bytes, which follow the program on its medium) to the first sector of the first hard disk by the
    /// BIOS, prints "written" or "failed", and restarts the machine by the keyboard controller when a key is pressed.
    ///
    /// # Panics
    /// When `sector` is not 512 bytes.
    pub fn write_boot_sector(sector: &[u8]) -> Vec<u8> {
        assert_eq!(sector.len(), 512);
        let mut code = vec![
            0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, // ds = es = 0
            0xbb, 0x00, 0x7e, // mov bx, 7e00h: the second half of what was loaded
            0xb8, 0x01, 0x03, 0xb9, 0x01, 0x00, 0xba, 0x80, 0x00, 0xcd,
            0x13, // write 1 sector, cylinder 0, head 0, sector 1, disk 80h
            0xbe, 0, 0, // mov si, written
            0x73, 0x03, // jnc +3
            0xbe, 0, 0, // mov si, failed
            0xac, 0x84, 0xc0, 0x74, 0x06, 0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xf5, // print
            0xb4, 0x00, 0xcd, 0x16, // wait for a key
            0xb0, 0xfe, 0xe6, 0x64, // mov al, 0feh; out 64h, al
            0xf4, 0xeb, 0xfd,
        ];
        for (at, text) in [(22, "written\0"), (27, "failed\0")] {
            let place = u16::try_from(0x7c00 + code.len()).unwrap().to_le_bytes();
            code[at..at + 2].copy_from_slice(&place);
            code.extend_from_slice(text.as_bytes());
        }
        code.resize(512, 0);
        code.extend_from_slice(sector);
        code
    }

    /// Prints "writing", then writes `count` sectors, `stride` sectors apart, to the first hard disk by the BIOS, over and over
    /// until a key is pressed; then prints " stopped" (or " failed" when the BIOS reports an error) and halts. All 32-bit words of
    /// a sector are the same: the number of the pass in the upper half, the sector's place in the row in the lower. The passes
    /// go on counting from what the disk's first sector says. [`crate::image::Written`] reads what came of it.
    pub fn write_sectors(count: u16, stride: u32) -> Vec<u8> {
        let ([c0, c1], [s0, s1, s2, s3]) = (count.to_le_bytes(), stride.to_le_bytes());
        let mut code = vec![
            0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, // ds = es = 0
            0xbe, 0x9d, 0x7c, 0xe8, 0x70, 0x00, // print "writing"
            // pass: the number of the last pass is in sector 0
            0x66, 0xc7, 0x06, 0x91, 0x7c, 0, 0, 0, 0, // mov dword [sector], 0
            0xb4, 0x42, 0xe8, 0x51, 0x00, // read
            0xa1, 0x02, 0x80, 0x40, 0xa3, 0x9b,
            0x7c, // mov ax, [8002h]; inc ax; mov [pass], ax
            0xc7, 0x06, 0x99, 0x7c, 0, 0, // mov word [index], 0
            // next: fill the buffer
            0xa1, 0x9b, 0x7c, 0x66, 0xc1, 0xe0, 0x10, 0xa1, 0x99,
            0x7c, // eax = pass << 16 | index
            0xbf, 0x00, 0x80, 0xb9, 0x80, 0x00, 0x66, 0xf3,
            0xab, // mov di, 8000h; mov cx, 128; rep stosd
            0x66, 0x0f, 0xb7, 0x06, 0x99, 0x7c, // movzx eax, word [index]
            0x66, 0x69, 0xc0, s0, s1, s2, s3, // imul eax, eax, stride
            0x66, 0xa3, 0x91, 0x7c, // mov [sector], eax
            0xb4, 0x43, 0xe8, 0x1b, 0x00, // write
            0xff, 0x06, 0x99, 0x7c, 0x81, 0x3e, 0x99, 0x7c, c0,
            c1, // inc word [index]; cmp word [index], count
            0x72, 0xcb, // jb next
            0xb4, 0x01, 0xcd, 0x16, 0x74, 0xaa, // no key: jz pass
            0xbe, 0xa5, 0x7c, // mov si, stopped
            // end: print and halt
            0xe8, 0x14, 0x00, 0xf4, 0xeb, 0xfd, //
            // disk: int 13h, function ah, with the packet
            0xb0, 0x00, 0xb2, 0x80, 0xbe, 0x89, 0x7c, 0xcd, 0x13, //
            0xbe, 0xae, 0x7c, 0x72, 0x01, 0xc3, 0xeb, 0xe9, // mov si, failed; jc end; ret
            // print
            0xac, 0x84, 0xc0, 0x74, 0x06, 0xb4, 0x0e, 0xcd, 0x10, 0xeb, 0xf5, 0xc3, //
            // the disk address packet: 1 sector, 0000:8000, sector (8 bytes)
            0x10, 0, 1, 0, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
            0, 0, 0, 0, // index, pass
        ];
        code.extend_from_slice(b"writing\0 stopped\0 failed\0");
        code
    }

    /// Writes `mebibytes` from the beginning of the first hard disk on by the BIOS, as an installer does, and restarts the machine by
    /// the keyboard controller. When the BIOS reports an error it stands still.
    pub fn write_and_restart(mebibytes: u32) -> Vec<u8> {
        let [n0, n1, n2, n3] = (mebibytes * 2048).to_le_bytes();
        vec![
            0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, // ds = es = 0
            // next: int 13h, function 43h, disk 80h, with the packet
            0xb8, 0x00, 0x43, 0xb2, 0x80, 0xbe, 0x2d, 0x7c, 0xcd, 0x13, //
            0x72, 0xfe, // jc itself
            0x66, 0x81, 0x06, 0x35, 0x7c, 0x80, 0, 0, 0, // add dword [sector], 128
            0x66, 0x81, 0x3e, 0x35, 0x7c, n0, n1, n2, n3, // cmp dword [sector], all
            0x72, 0xe0, // jb next
            0xb0, 0xfe, 0xe6, 0x64, // mov al, 0feh; out 64h, al
            0xeb, 0xfe, // jmp itself
            // the disk address packet: 128 sectors, 1000:0000, sector (8 bytes)
            0x10, 0, 128, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0,
        ]
    }

    /// Writes one sector after the other, `stride` sectors apart, to the first hard disk by the BIOS without end, from number `first`
    /// on: all 32-bit words of sector number n are n. What is on the device for good is told on the first serial port, as that
    /// number in four bytes, least first: with `flush` each eighth, after the disk (the master of the primary IDE channel) has
    /// carried out FLUSH CACHE, else each, as it is when the disk has no write cache. An error is told as ff ff ff ff, and ends it.
    pub fn write_for_good(first: u32, stride: u32, flush: bool) -> Vec<u8> {
        let ([s0, s1, s2, s3], [n0, n1, n2, n3]) = (stride.to_le_bytes(), first.to_le_bytes());
        let each = if flush { 7 } else { 0 };
        // jmp told, or mov dx, 1f6h and so on
        let [f0, f1, f2] = if flush {
            [0xba, 0xf6, 0x01]
        } else {
            [0xeb, 0x11, 0x90]
        };
        vec![
            0xfc, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, // ds = es = 0
            // next: fill the buffer
            0x66, 0xa1, 0x8b, 0x7c, 0xbf, 0x00, 0x80, 0xb9, 0x80,
            0x00, // eax = [number]; mov di, 8000h; mov cx, 128
            0x66, 0xf3, 0xab, // rep stosd
            0x66, 0xa1, 0x8b, 0x7c, 0x66, 0x69, 0xc0, s0, s1, s2,
            s3, // eax = [number] * stride
            0x66, 0xa3, 0x83, 0x7c, // mov [sector], eax
            0xb8, 0x00, 0x43, 0xb2, 0x80, 0xbe, 0x7b, 0x7c, 0xcd,
            0x13, // int 13h, function 43h, disk 80h, with the packet
            0x72, 0x29, // jc failed
            0xf6, 0x06, 0x8b, 0x7c, each, 0x75, 0x1b, // test byte [number], each; jnz skip
            // the master of the primary channel: FLUSH CACHE, and wait until it is not busy
            f0, f1, f2, 0xb0, 0xe0, 0xee, 0x42, 0xb0, 0xe7,
            0xee, // out 1f6h, 0e0h; out 1f7h, 0e7h
            0xec, 0xa8, 0x80, 0x75, 0xfb, 0xa8, 0x01, 0x75,
            0x0f, // in al, dx; busy: again; error: jmp failed
            // told:
            0x66, 0x8b, 0x0e, 0x8b, 0x7c, 0xe8, 0x12, 0x00, // ecx = [number]; call tell
            // skip:
            0x66, 0xff, 0x06, 0x8b, 0x7c, 0xeb, 0xaf, // inc [number]; jmp next
            // failed: tell and halt
            0x66, 0x31, 0xc9, 0x66, 0x49, 0xe8, 0x03, 0x00, 0xf4, 0xeb, 0xfd, //
            // tell: four bytes of ecx, each when the transmitter is empty
            0xb3, 0x04, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x20, 0x74,
            0xf8, // mov bl, 4; in 3fdh; test 20h
            0xb2, 0xf8, 0x88, 0xc8, 0xee, 0x66, 0xc1, 0xe9, 0x08, 0xfe, 0xcb, 0x75, 0xeb,
            0xc3, // out 3f8h, cl; shr ecx, 8
            // the disk address packet: 1 sector, 0000:8000, sector (8 bytes)
            0x10, 0, 1, 0, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, //
            n0, n1, n2, n3,
        ]
    }

    /// A boot sector for a hard disk that prints `text` and echoes keys.
    ///
    /// # Panics
    /// When the text does not fit.
    pub fn boot_sector(text: &str) -> Vec<u8> {
        let mut sector = echo(text);
        assert!(sector.len() <= 446);
        sector.resize(510, 0);
        sector.extend_from_slice(&[0x55, 0xaa]);
        sector
    }
}
