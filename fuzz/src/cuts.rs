//! Where a stream is cut into chunks, as part of the input: the fuzzer moves the cuts as it moves the bytes.

/// How many bytes at the start of an input describe the cuts and the rest of the circumstances.
pub(crate) const HEADER_BYTES: usize = 4;

/// Splits an input into its header and what is streamed. An input that is too short has an empty stream.
pub(crate) fn split(input: &[u8]) -> ([u8; HEADER_BYTES], &[u8]) {
    match input.split_first_chunk::<HEADER_BYTES>() {
        Some((header, stream)) => (*header, stream),
        None => ([0; HEADER_BYTES], &[]),
    }
}

/// Cuts a stream into chunks of `sizes[0] + 1` bytes, then `sizes[1] + 1`, and so on round and round.
pub(crate) fn chunks<'s>(stream: &'s [u8], sizes: &[u8]) -> Vec<&'s [u8]> {
    let mut rest = stream;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, tail) = rest.split_at(rest.len().min(usize::from(*size) + 1));
        chunks.push(chunk);
        rest = tail;
    }
    chunks
}
