//! A client written from the protocol's description alone.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use flate2::{Decompress, FlushDecompress};

/// A pointer shape: hot spot, size, pixels and mask.
pub type Shape = (usize, usize, usize, usize, Vec<u8>, Vec<u8>);

/// The picture and all else that the server told.
pub struct Client {
    pub stream: UnixStream,
    pub width: usize,
    pub height: usize,
    /// Pixels as they came, in the client's format, as numbers.
    pub picture: Vec<u32>,
    pub bytes_per_pixel: usize,
    pub big_endian: bool,
    /// Bytes of a compressed pixel of ZRLE, and by how many bits they are to be shifted.
    pub compressed: (usize, u32),
    /// Pixels of Tight are red, green, blue.
    pub tight_colours: bool,
    pub name: String,
    pub cursor: Option<Shape>,
    pub lights: Option<u8>,
    pub pointer: Option<u16>,
    pub extended_keys: bool,
    /// Who asked, the outcome and the size, of each answer.
    pub sizes: Vec<(usize, usize, usize, usize)>,
    pub encodings: Vec<i32>,
    /// Where the rectangles of the latest update were.
    pub places: Vec<[usize; 4]>,
    pub bells: usize,
    pub text: Option<Vec<u8>>,
    pub fences: Vec<(u32, Vec<u8>)>,
    pub ends: usize,
    zrle: Decompress,
    tight: [Decompress; 4],
}

pub const RGB: [u8; 16] = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];

impl Client {
    /// After a greeting without password.
    pub fn new(mut stream: UnixStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut version = [0; 12];
        stream.read_exact(&mut version).unwrap();
        assert_eq!(&version, b"RFB 003.008\n");
        stream.write_all(&version).unwrap();
        let mut types = [0; 2];
        stream.read_exact(&mut types).unwrap();
        assert_eq!(types, [1, 1]);
        stream.write_all(&[1]).unwrap();
        let mut result = [0; 4];
        stream.read_exact(&mut result).unwrap();
        assert_eq!(result, [0; 4]);
        stream.write_all(&[0]).unwrap();
        let mut head = [0; 24];
        stream.read_exact(&mut head).unwrap();
        let number = |at: usize| usize::from(head[at]) << 8 | usize::from(head[at + 1]);
        assert_eq!(head[4..20], RGB);
        let mut name = vec![0; number(22)];
        stream.read_exact(&mut name).unwrap();
        let (width, height) = (number(0), number(2));
        Self {
            stream,
            width,
            height,
            picture: vec![0xdead_beef; width * height],
            bytes_per_pixel: 4,
            big_endian: false,
            compressed: (3, 0),
            tight_colours: true,
            name: String::from_utf8(name).unwrap(),
            cursor: None,
            lights: None,
            pointer: None,
            extended_keys: false,
            sizes: Vec::new(),
            encodings: Vec::new(),
            places: Vec::new(),
            bells: 0,
            text: None,
            fences: Vec::new(),
            ends: 0,
            zrle: Decompress::new(true),
            tight: [0; 4].map(|_| Decompress::new(true)),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn set_encodings(&mut self, encodings: &[i32]) {
        let count = u16::try_from(encodings.len()).unwrap();
        let mut message = vec![2, 0];
        message.extend(count.to_be_bytes());
        encodings
            .iter()
            .for_each(|encoding| message.extend(encoding.to_be_bytes()));
        self.send(&message);
    }

    pub fn set_format(&mut self, format: [u8; 16]) {
        self.send(&[&[0, 0, 0, 0], format.as_slice()].concat());
        self.bytes_per_pixel = usize::from(format[0]) / 8;
        self.big_endian = format[2] != 0;
        self.compressed = (self.bytes_per_pixel, 0);
        self.tight_colours = false;
    }

    pub fn request(&mut self, incremental: bool) {
        self.send(&[3, u8::from(incremental), 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn number(&mut self, bytes: usize) -> usize {
        self.bytes(bytes)
            .iter()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn long(&mut self) -> u32 {
        u32::try_from(self.number(4)).unwrap()
    }

    /// Follows messages until a whole update was read.
    pub fn update(&mut self) {
        while self.message() != 0 {}
    }

    /// Asks for what changed, and waits for it.
    pub fn refresh(&mut self) {
        self.request(true);
        self.update();
    }

    /// Follows one message and tells its type.
    pub fn message(&mut self) -> usize {
        let kind = self.number(1);
        match kind {
            0 => {
                self.number(1);
                let count = self.number(2);
                self.encodings.clear();
                self.places.clear();
                for _ in 0..count {
                    if !self.rectangle() {
                        break;
                    }
                }
            }
            2 => self.bells += 1,
            3 => {
                self.number(3);
                let length = self.number(4);
                self.text = Some(self.bytes(length));
            }
            150 => self.ends += 1,
            248 => {
                self.number(3);
                let flags = self.long();
                let length = self.number(1);
                let payload = self.bytes(length);
                self.fences.push((flags, payload));
            }
            other => panic!("message {other}"),
        }
        kind
    }

    fn rectangle(&mut self) -> bool {
        let [x, y, width, height] = [0; 4].map(|_| self.number(2));
        let encoding = self.long().cast_signed();
        self.encodings.push(encoding);
        self.places.push([x, y, width, height]);
        if (0..100).contains(&encoding) {
            assert!(x + width <= self.width && y + height <= self.height);
            assert!(width > 0 && height > 0);
        }
        match encoding {
            0 => {
                let bytes = self.bytes(width * height * self.bytes_per_pixel);
                let pixels = self.pixels(&bytes);
                self.put(x, y, width, &pixels);
            }
            1 => {
                let [from_x, from_y] = [0; 2].map(|_| self.number(2));
                let mut pixels = Vec::new();
                for row in from_y..from_y + height {
                    let start = row * self.width + from_x;
                    pixels.extend_from_slice(&self.picture[start..start + width]);
                }
                self.put(x, y, width, &pixels);
            }
            7 => {
                let pixels = self.tight(width, height);
                self.put(x, y, width, &pixels);
            }
            16 => self.zrle(x, y, width, height),
            -224 => return false,
            -223 => self.resize(width, height),
            -239 => {
                let pixels = self.bytes(width * height * self.bytes_per_pixel);
                let mask = self.bytes(width.div_ceil(8) * height);
                self.cursor = Some((x, y, width, height, pixels, mask));
            }
            -257 => self.pointer = Some(u16::try_from(x).unwrap()),
            -258 => self.extended_keys = true,
            -261 => self.lights = Some(u8::try_from(self.number(1)).unwrap()),
            -307 => {
                let length = self.number(4);
                self.name = String::from_utf8(self.bytes(length)).unwrap();
            }
            -308 => {
                assert_eq!(self.number(4), 0x0100_0000);
                let screen = self.bytes(16);
                let of_screen =
                    |at: usize| usize::from(screen[at]) << 8 | usize::from(screen[at + 1]);
                assert_eq!((of_screen(8), of_screen(10)), (width, height));
                self.sizes.push((x, y, width, height));
                if (width, height) != (self.width, self.height) {
                    self.resize(width, height);
                }
            }
            other => panic!("encoding {other}"),
        }
        true
    }

    fn resize(&mut self, width: usize, height: usize) {
        (self.width, self.height) = (width, height);
        self.picture = vec![0xdead_beef; width * height];
    }

    fn pixel(&self, bytes: &[u8]) -> u32 {
        let fold = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        if self.big_endian {
            bytes.iter().fold(0, fold)
        } else {
            bytes.iter().rev().fold(0, fold)
        }
    }

    fn pixels(&self, bytes: &[u8]) -> Vec<u32> {
        bytes
            .chunks(self.bytes_per_pixel)
            .map(|pixel| self.pixel(pixel))
            .collect()
    }

    fn put(&mut self, x: usize, y: usize, width: usize, pixels: &[u32]) {
        for (row, pixels) in pixels.chunks(width).enumerate() {
            let start = (y + row) * self.width + x;
            self.picture[start..start + width].copy_from_slice(pixels);
        }
    }

    fn compact_length(&mut self) -> usize {
        let first = self.number(1);
        if first < 128 {
            return first;
        }
        let second = self.number(1);
        let length = first & 127 | (second & 127) << 7;
        if second < 128 {
            return length;
        }
        length | self.number(1) << 14
    }

    fn tight_pixels(&self, bytes: &[u8]) -> Vec<u32> {
        if self.tight_colours {
            bytes
                .chunks(3)
                .map(|rgb| u32::from_be_bytes([0, rgb[0], rgb[1], rgb[2]]))
                .collect()
        } else {
            self.pixels(bytes)
        }
    }

    fn tight_data(&mut self, stream: usize, length: usize) -> Vec<u8> {
        if length < 12 {
            return self.bytes(length);
        }
        let compressed = self.compact_length();
        let data = self.bytes(compressed);
        inflate(&mut self.tight[stream], &data, length)
    }

    fn tight(&mut self, width: usize, height: usize) -> Vec<u32> {
        assert!(width <= 2048);
        let size = if self.tight_colours {
            3
        } else {
            self.bytes_per_pixel
        };
        let control = self.number(1);
        assert_eq!(control & 15, 0, "streams are never reset");
        match control >> 4 {
            8 => {
                let colour = self.bytes(size);
                vec![self.tight_pixels(&colour)[0]; width * height]
            }
            kind @ 0..8 => {
                let stream = kind & 3;
                let filter = if kind & 4 != 0 { self.number(1) } else { 0 };
                if filter == 0 {
                    let data = self.tight_data(stream, width * height * size);
                    return self.tight_pixels(&data);
                }
                assert_eq!(filter, 1);
                let colours = self.number(1) + 1;
                let palette = self.bytes(colours * size);
                let palette = self.tight_pixels(&palette);
                if colours == 2 {
                    let row = width.div_ceil(8);
                    let data = self.tight_data(stream, row * height);
                    let bit = |x: usize, y: usize| data[y * row + x / 8] >> (7 - x % 8) & 1;
                    (0..width * height)
                        .map(|at| palette[usize::from(bit(at % width, at / width))])
                        .collect()
                } else {
                    let data = self.tight_data(stream, width * height);
                    data.iter()
                        .map(|index| palette[usize::from(*index)])
                        .collect()
                }
            }
            other => panic!("Tight's compression {other}"),
        }
    }

    fn zrle(&mut self, x: usize, y: usize, width: usize, height: usize) {
        let length = self.number(4);
        let data = self.bytes(length);
        let plain = inflate(&mut self.zrle, &data, usize::MAX);
        let mut rest = plain.as_slice();
        let (size, shift) = self.compressed;
        for top in (0..height).step_by(64) {
            for left in (0..width).step_by(64) {
                let (columns, rows) = (64.min(width - left), 64.min(height - top));
                let count = columns * rows;
                let mut pixels = Vec::new();
                let kind = usize::from(take(&mut rest, 1)[0]);
                let colours = |rest: &mut &[u8], count: usize| -> Vec<u32> {
                    take(rest, count * size)
                        .chunks(size)
                        .map(|bytes| self.pixel(bytes) << shift)
                        .collect()
                };
                match kind {
                    0 => pixels = colours(&mut rest, count),
                    1 => pixels = vec![colours(&mut rest, 1)[0]; count],
                    2..=16 => {
                        let palette = colours(&mut rest, kind);
                        let bits = match kind {
                            2 => 1,
                            3..=4 => 2,
                            _ => 4,
                        };
                        for _ in 0..rows {
                            let row = take(&mut rest, (columns * bits).div_ceil(8));
                            for column in 0..columns {
                                let at = column * bits;
                                let index = row[at / 8] >> (8 - bits - at % 8) & ((1 << bits) - 1);
                                pixels.push(palette[usize::from(index)]);
                            }
                        }
                    }
                    128 => {
                        while pixels.len() < count {
                            let colour = colours(&mut rest, 1)[0];
                            let length = run(&mut rest);
                            pixels.extend(std::iter::repeat_n(colour, length));
                        }
                    }
                    130..=255 => {
                        let palette = colours(&mut rest, kind - 128);
                        while pixels.len() < count {
                            let index = usize::from(take(&mut rest, 1)[0]);
                            let length = if index < 128 { 1 } else { run(&mut rest) };
                            pixels.extend(std::iter::repeat_n(palette[index & 127], length));
                        }
                    }
                    other => panic!("ZRLE's kind {other}"),
                }
                assert_eq!(pixels.len(), count);
                self.put(x + left, y + top, columns, &pixels);
            }
        }
        assert!(rest.is_empty());
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(count);
    *rest = after;
    taken
}

fn run(rest: &mut &[u8]) -> usize {
    let mut length = 1;
    loop {
        let byte = take(rest, 1)[0];
        length += usize::from(byte);
        if byte != 255 {
            return length;
        }
    }
}

/// All that `data` holds, which is `length` if that is known.
fn inflate(stream: &mut Decompress, data: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let before = stream.total_in();
    loop {
        out.reserve(65536);
        let done = usize::try_from(stream.total_in() - before).unwrap();
        stream
            .decompress_vec(&data[done..], &mut out, FlushDecompress::Sync)
            .unwrap();
        let done = usize::try_from(stream.total_in() - before).unwrap();
        if done == data.len() && out.len() < out.capacity() {
            break;
        }
    }
    assert!(length == usize::MAX || out.len() == length);
    out
}
