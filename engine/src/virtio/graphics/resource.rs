//! The driver's pictures: each with pixels of the device's own, and the guest's memory that they are filled from.

use std::collections::BTreeMap;

use super::protocol::{Format, Refusal};
use crate::display::{MAXIMUM_EDGE, Rectangle};
use crate::memory::GuestMemory;
use crate::virtio::Piece;

/// The most memory of the host's that one guest's pictures take, in bytes: three of 5120 by 2880, or one of the largest.
const MOST_MEMORY: usize = 256 << 20;
/// What a picture takes besides its pixels, for the sum, in bytes.
const OVERHEAD: usize = 256;
/// The most pieces of memory behind one picture.
pub(super) const MOST_PIECES: u32 = 16384;
const PIECE: usize = size_of::<(u64, Piece)>();

const PIXEL: usize = 4;

/// A picture.
pub(super) struct Resource {
    format: Format,
    pub width: u32,
    pub height: u32,
    /// 0xAARRGGBB, row by row.
    pixels: Vec<u32>,
    /// The memory behind it, each piece with the offset at which it begins.
    backing: Vec<(u64, Piece)>,
    /// The backing's length in bytes.
    length: u64,
}

impl Resource {
    fn new(format: Format, width: u32, height: u32) -> Self {
        Self {
            format,
            width,
            height,
            pixels: vec![0; width as usize * height as usize],
            backing: Vec::new(),
            length: 0,
        }
    }

    fn cost(&self) -> usize {
        OVERHEAD + self.pixels.len() * PIXEL + self.backing.len() * PIECE
    }

    /// Whether all of `part` lies within it.
    pub fn has(&self, part: Rectangle) -> bool {
        part.width > 0
            && part.height > 0
            && Rectangle::new(0, 0, self.width, self.height).contains(part)
    }

    /// The pixels of row `y` from column `x` on, `length` of them or what there is.
    pub fn row(&self, x: u32, y: u32, length: u32) -> &[u32] {
        let start = y as usize * self.width as usize + x as usize;
        let length = length.min(self.width.saturating_sub(x)) as usize;
        self.pixels
            .get(start..start.saturating_add(length))
            .unwrap_or(&[])
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// Fills `part` from the backing, where its first row begins at `offset` and the next ones a picture's row further each.
    ///
    /// # Errors
    /// When `part` is not within the picture, or nothing is behind it.
    pub fn fill(
        &mut self,
        memory: &GuestMemory,
        part: Rectangle,
        offset: u64,
    ) -> Result<(), Refusal> {
        if !self.has(part) {
            return Err(Refusal::Parameter);
        }
        let stride = u64::from(self.width) * PIXEL as u64;
        let row = u64::from(part.width) * PIXEL as u64;
        let end = offset
            .checked_add(stride * u64::from(part.height - 1))
            .and_then(|start| start.checked_add(row));
        if end.is_none_or(|end| end > self.length) {
            return Err(Refusal::Unspecified);
        }
        let mut bytes = vec![0; part.width as usize * PIXEL];
        for line in 0..part.height {
            self.read(memory, offset + stride * u64::from(line), &mut bytes);
            let start = (part.y + line) as usize * self.width as usize + part.x as usize;
            let to = self.pixels.get_mut(start..).unwrap_or(&mut []);
            let (pixels, _) = bytes.as_chunks::<PIXEL>();
            for (to, bytes) in to.iter_mut().zip(pixels) {
                *to = self.format.pixel(*bytes);
            }
        }
        Ok(())
    }

    /// Reads the backing from byte `offset` on.
    fn read(&self, memory: &GuestMemory, offset: u64, data: &mut [u8]) {
        let first = self.backing.partition_point(|(start, piece)| {
            start.saturating_add(u64::from(piece.length)) <= offset
        });
        let (mut at, mut rest) = (offset, data);
        for (start, piece) in self.backing.get(first..).unwrap_or(&[]) {
            if rest.is_empty() {
                break;
            }
            let skipped = at.saturating_sub(*start);
            let there = u64::from(piece.length).saturating_sub(skipped);
            let count = usize::try_from(there).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            // It was memory when it was attached, and the memory is not taken away.
            let _ = memory.read(piece.address.saturating_add(skipped), now);
            at = at.saturating_add(count as u64);
            rest = later;
        }
    }
}

/// All pictures of a driver's, within bounds.
#[derive(Default)]
pub(super) struct Resources {
    by_number: BTreeMap<u32, Resource>,
    /// What they cost, in bytes.
    cost: usize,
}

impl Resources {
    /// The picture with this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, number: u32) -> Result<&Resource, Refusal> {
        self.by_number.get(&number).ok_or(Refusal::Resource)
    }

    /// The same, to be changed.
    ///
    /// # Errors
    /// When there is none.
    pub fn get_mut(&mut self, number: u32) -> Result<&mut Resource, Refusal> {
        self.by_number.get_mut(&number).ok_or(Refusal::Resource)
    }

    /// Makes a black picture.
    ///
    /// # Errors
    /// When the number is 0 or taken, the format unknown, an edge 0 or longer than any screen's, or the pictures take too much.
    pub fn create(
        &mut self,
        number: u32,
        format: u32,
        width: u32,
        height: u32,
    ) -> Result<(), Refusal> {
        if number == 0 || self.by_number.contains_key(&number) {
            return Err(Refusal::Resource);
        }
        let edges = 1..=MAXIMUM_EDGE;
        let format = Format::of(format).ok_or(Refusal::Parameter)?;
        if !edges.contains(&width) || !edges.contains(&height) {
            return Err(Refusal::Parameter);
        }
        let cost = OVERHEAD + width as usize * height as usize * PIXEL;
        self.spend(cost)?;
        let resource = Resource::new(format, width, height);
        self.by_number.insert(number, resource);
        Ok(())
    }

    /// Takes a picture away.
    ///
    /// # Errors
    /// When there is none with this number.
    pub fn remove(&mut self, number: u32) -> Result<(), Refusal> {
        let resource = self.by_number.remove(&number).ok_or(Refusal::Resource)?;
        self.cost = self.cost.saturating_sub(resource.cost());
        Ok(())
    }

    /// Puts memory behind a picture.
    ///
    /// # Errors
    /// When there is no such picture, it has some already, a piece is not memory, or the pictures take too much.
    pub fn attach(
        &mut self,
        memory: &GuestMemory,
        number: u32,
        pieces: impl ExactSizeIterator<Item = Piece>,
    ) -> Result<(), Refusal> {
        if !self.get(number)?.backing.is_empty() {
            return Err(Refusal::Unspecified);
        }
        let mut backing = Vec::with_capacity(pieces.len());
        let mut length = 0;
        for piece in pieces.filter(|piece| piece.length > 0) {
            if !memory.contains(piece.address, piece.length as usize) {
                return Err(Refusal::Parameter);
            }
            backing.push((length, piece));
            length += u64::from(piece.length);
        }
        self.spend(backing.len() * PIECE)?;
        let resource = self.get_mut(number)?;
        resource.backing = backing;
        resource.length = length;
        Ok(())
    }

    /// Takes the memory from behind a picture, whose pixels stay.
    ///
    /// # Errors
    /// When there is no such picture.
    pub fn detach(&mut self, number: u32) -> Result<(), Refusal> {
        let resource = self.get_mut(number)?;
        let backing = std::mem::take(&mut resource.backing);
        resource.length = 0;
        self.cost = self.cost.saturating_sub(backing.len() * PIECE);
        Ok(())
    }

    fn spend(&mut self, cost: usize) -> Result<(), Refusal> {
        let sum = self.cost.saturating_add(cost);
        if sum > MOST_MEMORY {
            return Err(Refusal::OutOfMemory);
        }
        self.cost = sum;
        Ok(())
    }
}
