//! Reads and writes. A cluster that is in place is reached past the library; what is not, through it.

use std::io;
use std::sync::atomic::Ordering;

use imago::FormatAccess;
use imago::format::drivers::ShallowMapping;

use super::Inner;
use super::store::Store;
use crate::memory::GuestBuffer;

/// Guest memory goes through the library in pieces of this many bytes.
const BOUNCE: usize = 1 << 20;

/// Where data is read to.
trait Target {
    fn length(&self) -> usize;
    /// Reads a part of it from the file of the data at `offset`.
    fn read_data(&mut self, image: &Inner, from: usize, to: usize, offset: u64) -> io::Result<()>;
    fn read_backing(
        &mut self,
        image: &Inner,
        from: usize,
        to: usize,
        offset: u64,
    ) -> io::Result<()>;
    fn zero(&mut self, from: usize, to: usize);
    /// Reads a part of it through the library.
    fn read_format(
        &mut self,
        format: &FormatAccess<Store>,
        from: usize,
        to: usize,
        offset: u64,
    ) -> io::Result<()>;
}

impl Target for &mut [u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn read_data(&mut self, image: &Inner, from: usize, to: usize, offset: u64) -> io::Result<()> {
        let part = self.get_mut(from..to).unwrap_or_default();
        image.file.read_data(part, offset)
    }

    fn read_backing(
        &mut self,
        image: &Inner,
        from: usize,
        to: usize,
        offset: u64,
    ) -> io::Result<()> {
        let part = self.get_mut(from..to).unwrap_or_default();
        image.backing_call(|backing| backing.read_at(offset, part))
    }

    fn zero(&mut self, from: usize, to: usize) {
        self.get_mut(from..to).unwrap_or_default().fill(0);
    }

    fn read_format(
        &mut self,
        format: &FormatAccess<Store>,
        from: usize,
        to: usize,
        offset: u64,
    ) -> io::Result<()> {
        format.read(self.get_mut(from..to).unwrap_or_default(), offset)
    }
}

impl Target for &GuestBuffer {
    fn length(&self) -> usize {
        self.len()
    }

    fn read_data(&mut self, image: &Inner, from: usize, to: usize, offset: u64) -> io::Result<()> {
        image.file.read_data_guest(&self.part(from..to), offset)
    }

    fn read_backing(
        &mut self,
        image: &Inner,
        from: usize,
        to: usize,
        offset: u64,
    ) -> io::Result<()> {
        image.backing_call(|backing| backing.read_guest(offset, &self.part(from..to)))
    }

    fn zero(&mut self, from: usize, to: usize) {
        GuestBuffer::zero(self, from..to);
    }

    fn read_format(
        &mut self,
        format: &FormatAccess<Store>,
        from: usize,
        to: usize,
        offset: u64,
    ) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let mut data = vec![0; (to - at).min(BOUNCE)];
            format.read(data.as_mut_slice(), offset + (at - from) as u64)?;
            self.write(at, &data);
            at += data.len();
        }
        Ok(())
    }
}

impl Inner {
    fn backing_call(
        &self,
        call: impl FnOnce(&dyn crate::disk::Image) -> Result<(), crate::disk::ImageError>,
    ) -> io::Result<()> {
        match &self.backing {
            Some(backing) => call(&**backing).map_err(|error| io::Error::other(error.to_string())),
            None => Err(io::Error::other("its backing file is not open")),
        }
    }

    pub(super) fn read(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
        self.read_into(offset, data)
    }

    pub(super) fn read_guest(&self, offset: u64, buffer: &GuestBuffer) -> io::Result<()> {
        self.read_into(offset, buffer)
    }

    fn read_into(&self, offset: u64, mut target: impl Target) -> io::Result<()> {
        let format = self.format.read();
        let mut at = 0;
        while at < target.length() {
            let place = offset + at as u64;
            let rest = (target.length() - at) as u64;
            let (mapping, length) = format.inner().get_mapping(place, rest)?;
            let length = usize::try_from(length.min(rest)).map_err(io::Error::other)?;
            let to = at + length;
            match mapping {
                _ if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                ShallowMapping::Raw { offset, .. } => target.read_data(self, at, to, offset)?,
                ShallowMapping::Zero { .. } => target.zero(at, to),
                ShallowMapping::Indirect { offset, .. } => {
                    // Behind the end of the backing file there are zeros.
                    let size = self.backing.as_ref().map_or(0, |backing| backing.size());
                    let inside = usize::try_from(size.saturating_sub(offset))
                        .unwrap_or(usize::MAX)
                        .min(length);
                    if inside > 0 {
                        target.read_backing(self, at, at + inside, offset)?;
                    }
                    target.zero(at + inside, to);
                }
                _ => target.read_format(&format, at, to, place)?,
            }
            at = to;
        }
        Ok(())
    }

    pub(super) fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let done = {
            let format = self.format.read();
            self.keep(offset, data.len() as u64);
            let mut done = 0;
            while let Some((place, length)) =
                self.in_place(&format, offset + done as u64, data.len() - done)?
            {
                let part = data.get(done..done + length).unwrap_or_default();
                self.file.write_data(part, place)?;
                done += length;
            }
            done
        };
        if done < data.len() {
            let rest = data.get(done..).unwrap_or_default();
            self.write_anew(offset + done as u64, rest)?;
        }
        self.written()
    }

    pub(super) fn write_guest(&self, offset: u64, buffer: &GuestBuffer) -> io::Result<()> {
        let mut done = {
            let format = self.format.read();
            self.keep(offset, buffer.len() as u64);
            let mut done = 0;
            while let Some((place, length)) =
                self.in_place(&format, offset + done as u64, buffer.len() - done)?
            {
                if done == 0 && length == buffer.len() {
                    self.file.write_data_guest(buffer, place)?;
                } else {
                    self.file
                        .write_data_guest(&buffer.part(done..done + length), place)?;
                }
                done += length;
            }
            done
        };
        while done < buffer.len() {
            let mut data = vec![0; (buffer.len() - done).min(BOUNCE)];
            buffer.read(done, &mut data);
            self.write_anew(offset + done as u64, &data)?;
            done += data.len();
        }
        self.written()
    }

    /// Where in the file of the data the guest's `offset` is and how far that goes, if it can be written over there.
    fn in_place(
        &self,
        format: &FormatAccess<Store>,
        offset: u64,
        rest: usize,
    ) -> io::Result<Option<(u64, usize)>> {
        if rest == 0 {
            return Ok(None);
        }
        let (mapping, length) = format.inner().get_mapping(offset, rest as u64)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest);
        match mapping {
            ShallowMapping::Raw {
                offset,
                writable: true,
                ..
            } if length > 0 => Ok(Some((offset, length))),
            _ => Ok(None),
        }
    }

    /// Writes where tables have to change first.
    fn write_anew(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let _tables = self.tables.lock();
        let format = self.format.write();
        self.dirty.store(true, Ordering::Release);
        // Others may have given back meanwhile what this request had kept.
        self.keep(offset, data.len() as u64);
        self.forget_zeroed(offset, data.len() as u64);
        if self.own_compression {
            return self.write_packed(&format, offset, data);
        }
        format.write(data, offset)
    }

    /// The library cannot unpack a cluster to change a part of it: it gets the whole.
    fn write_packed(
        &self,
        format: &FormatAccess<Store>,
        offset: u64,
        data: &[u8],
    ) -> io::Result<()> {
        let mut at = 0;
        while at < data.len() {
            let place = offset + at as u64;
            let start = place - place % self.cluster_size;
            let end = (start + self.cluster_size).min(self.size());
            let length = usize::try_from(end - place)
                .map_err(io::Error::other)?
                .min(data.len() - at);
            let part = data.get(at..at + length).unwrap_or_default();
            let (mapping, _) = format.inner().get_mapping(place, 1)?;
            if matches!(mapping, ShallowMapping::Special { .. }) {
                let mut cluster = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
                format.read(cluster.as_mut_slice(), start)?;
                let from = usize::try_from(place - start).map_err(io::Error::other)?;
                if let Some(changed) = cluster.get_mut(from..from + length) {
                    changed.copy_from_slice(part);
                }
                format.write(cluster.as_slice(), start)?;
            } else {
                format.write(part, place)?;
            }
            at += length;
        }
        Ok(())
    }

    /// What is written is not to be given back.
    fn keep(&self, offset: u64, length: u64) {
        if self.any_discarded.load(Ordering::Acquire) {
            self.discarded
                .lock()
                .remove(offset..offset.saturating_add(length));
        }
    }

    /// After each change.
    pub(super) fn written(&self) -> io::Result<()> {
        self.dirty.store(true, Ordering::Release);
        if self.through {
            self.flush()
                .map_err(|error| io::Error::other(error.to_string()))?;
        }
        Ok(())
    }
}
