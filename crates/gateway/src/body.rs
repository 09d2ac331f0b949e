//! Bodies that give their memory back.

use bytes::Bytes;
use memmap2::MmapMut;

/// Bodies from this size on live in a mapping of their own.
///
/// A Codex turn brings 40 kB to several MB, sends as much to the provider, and then streams for minutes. On the heap such bodies lie
/// between small things that live as long as the stream, and their memory stays with the process when they are gone: the
/// first turns of a thousand streams cost 100 kB each for good. A mapping goes back to the system at once, for about 10 µs.
const MAPPED_BYTES_MIN: usize = 32 * 1024;

/// A body that is being collected.
#[derive(Default)]
pub struct BodyBuffer {
    small: Vec<u8>,
    mapped: Option<Mapped>,
}

struct Mapped {
    pages: MmapMut,
    length: usize,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.pages[..self.length]
    }
}

impl BodyBuffer {
    /// An empty body that is expected to become `expected_bytes` long.
    ///
    /// # Errors
    /// When the system has no memory for it.
    pub fn new(expected_bytes: usize) -> std::io::Result<Self> {
        if expected_bytes < MAPPED_BYTES_MIN {
            return Ok(Self {
                small: Vec::with_capacity(expected_bytes),
                mapped: None,
            });
        }
        Ok(Self {
            small: Vec::new(),
            mapped: Some(Mapped {
                pages: MmapMut::map_anon(expected_bytes)?,
                length: 0,
            }),
        })
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// When the system has no memory for it.
    pub fn extend(&mut self, piece: &[u8]) -> std::io::Result<()> {
        let length = self.len() + piece.len();
        if self.mapped.is_none() && length < MAPPED_BYTES_MIN {
            self.small.extend_from_slice(piece);
            return Ok(());
        }
        if self
            .mapped
            .as_ref()
            .is_none_or(|mapped| mapped.pages.len() < length)
        {
            self.grow(length.saturating_mul(2))?;
        }
        if let Some(mapped) = &mut self.mapped {
            mapped.pages[mapped.length..length].copy_from_slice(piece);
            mapped.length = length;
        }
        Ok(())
    }

    /// The bytes collected so far.
    pub fn len(&self) -> usize {
        self.mapped
            .as_ref()
            .map_or(self.small.len(), |mapped| mapped.length)
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The whole body.
    pub fn into_bytes(self) -> Bytes {
        match self.mapped {
            Some(mapped) => Bytes::from_owner(mapped),
            None => Bytes::from(self.small),
        }
    }

    fn grow(&mut self, capacity: usize) -> std::io::Result<()> {
        let mut pages = MmapMut::map_anon(capacity)?;
        let length = self.len();
        match &self.mapped {
            Some(mapped) => pages[..length].copy_from_slice(mapped.as_ref()),
            None => pages[..length].copy_from_slice(&self.small),
        }
        self.small = Vec::new();
        self.mapped = Some(Mapped { pages, length });
        Ok(())
    }
}

/// A body that was rendered on the heap, as one that gives its memory back.
pub(crate) fn outgoing(body: Vec<u8>) -> Bytes {
    if body.len() < MAPPED_BYTES_MIN {
        return Bytes::from(body);
    }
    let mapped = BodyBuffer::new(body.len()).and_then(|mut mapped| {
        mapped.extend(&body)?;
        Ok(mapped)
    });
    // Without a mapping the heap has to do.
    mapped.map_or_else(|_| Bytes::from(body), BodyBuffer::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected_bytes: usize, pieces: &[usize]) {
        let mut body = BodyBuffer::new(expected_bytes).unwrap();
        let mut whole = Vec::new();
        for (index, &size) in pieces.iter().enumerate() {
            let piece = vec![u8::try_from(index).unwrap(); size];
            body.extend(&piece).unwrap();
            whole.extend(piece);
        }
        assert_eq!(body.len(), whole.len());
        assert_eq!(body.is_empty(), whole.is_empty());
        assert_eq!(body.into_bytes(), whole);
    }

    #[test]
    fn bodies_of_every_size_are_whole() {
        check(0, &[]);
        check(0, &[1, 2, 3]);
        check(100, &[50, 50]);
        check(0, &[MAPPED_BYTES_MIN - 1, 1, 1]);
        check(0, &[20_000, 20_000, 200_000]);
        check(MAPPED_BYTES_MIN, &[MAPPED_BYTES_MIN]);
        check(40_000, &[10_000, 60_000]);
        check(1 << 20, &[3]);
    }

    #[test]
    fn rendered_bodies_stay_the_same() {
        for size in [0, 10, MAPPED_BYTES_MIN, 100_001] {
            assert_eq!(outgoing(vec![7; size]), vec![7; size]);
        }
    }
}
