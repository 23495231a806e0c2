//! A zlib stream (RFC 1950) that lasts as long as a connection; each rectangle ends on a byte that the client can decode up to.

use flate2::{Compress, Compression, FlushCompress};

/// The stream, made when it is first needed.
#[derive(Default)]
pub struct Stream {
    deflate: Option<Compress>,
}

impl Stream {
    /// Compresses `data` to the end of `out`. The level, 1 to 9, counts when the stream begins.
    pub fn compress(&mut self, data: &[u8], level: u32, out: &mut Vec<u8>) {
        let deflate = self
            .deflate
            .get_or_insert_with(|| Compress::new(Compression::new(level), true));
        let mut rest = data;
        loop {
            out.reserve(rest.len() / 2 + 1024);
            let (taken, given) = (deflate.total_in(), deflate.total_out());
            // Fails only after the end of the stream, which is never asked for.
            let failed = deflate
                .compress_vec(rest, out, FlushCompress::Sync)
                .is_err();
            let taken = usize::try_from(deflate.total_in() - taken).unwrap_or(usize::MAX);
            rest = rest.get(taken..).unwrap_or(&[]);
            let stuck = taken == 0 && deflate.total_out() == given;
            // Room left over: everything, the flush too, is out.
            if failed || stuck || rest.is_empty() && out.len() < out.capacity() {
                return;
            }
        }
    }
}
