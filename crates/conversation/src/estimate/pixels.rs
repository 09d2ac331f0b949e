//! The size of a picture, from the beginning of its file.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The most bytes of base64 that are decoded to find a picture's size. JPEG files can have previews and profiles before it, 64 KiB
/// each.
const IMAGE_HEAD_BYTES_MAX: usize = 256 * 1024;

/// Width and height of the picture that base64 spells, if it is a PNG, GIF, WebP or JPEG file.
pub(super) fn of_base64(base64: &str) -> Option<(u32, u32)> {
    pixels(&head(base64))
}

/// The beginning of what base64 spells. The text may be the body of a JSON string, in which a slash can be written `\/`.
fn head(base64: &str) -> Vec<u8> {
    const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let mut letters: Vec<u8> = base64
        .bytes()
        .take(IMAGE_HEAD_BYTES_MAX)
        .filter(|&byte| byte != b'\\')
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
        .collect();
    if letters.len() % 4 == 1 {
        letters.pop();
    }
    ANY_PADDING.decode(letters).unwrap_or_default()
}

/// Width and height of a PNG, GIF, WebP or JPEG file.
fn pixels(file: &[u8]) -> Option<(u32, u32)> {
    match file {
        [0x89, b'P', b'N', b'G', ..] => Some((be32(file, 16)?, be32(file, 20)?)),
        [b'G', b'I', b'F', b'8', ..] => Some((le16(file, 6)?, le16(file, 8)?)),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => webp(file),
        [0xFF, 0xD8, ..] => jpeg(file),
        _ => None,
    }
}

fn webp(file: &[u8]) -> Option<(u32, u32)> {
    match file.get(12..16)? {
        b"VP8 " => Some((le16(file, 26)? & 0x3FFF, le16(file, 28)? & 0x3FFF)),
        b"VP8L" => {
            let bits = u32::from_le_bytes(file.get(21..25)?.try_into().ok()?);
            Some(((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1))
        }
        b"VP8X" => {
            let le24 = |at: usize| -> Option<u32> {
                Some(le16(file, at)? | u32::from(*file.get(at + 2)?) << 16)
            };
            Some((le24(24)? + 1, le24(27)? + 1))
        }
        _ => None,
    }
}

/// Goes from segment to segment until the one that tells the size.
fn jpeg(file: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        while *file.get(at)? == 0xFF && *file.get(at + 1)? == 0xFF {
            at += 1;
        }
        if *file.get(at)? != 0xFF {
            return None;
        }
        let marker = *file.get(at + 1)?;
        match marker {
            // Of the frame markers, C4, C8 and CC mean something else.
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                return Some((be16(file, at + 7)?, be16(file, at + 5)?));
            }
            // The picture itself begins, or ends, and no size was told.
            0xD9 | 0xDA => return None,
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => at += 2 + usize::try_from(be16(file, at + 2)?).ok()?.max(2),
        }
    }
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_be_bytes(
        bytes.get(at..at + 2)?.try_into().ok()?,
    )))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(
        bytes.get(at..at + 2)?.try_into().ok()?,
    )))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use proptest::prelude::*;

    pub(in crate::estimate) fn png(width: u32, height: u32) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        file.extend_from_slice(&width.to_be_bytes());
        file.extend_from_slice(&height.to_be_bytes());
        file
    }

    fn gif(width: u16, height: u16) -> Vec<u8> {
        let mut file = b"GIF89a".to_vec();
        file.extend_from_slice(&width.to_le_bytes());
        file.extend_from_slice(&height.to_le_bytes());
        file
    }

    fn jpeg_file(width: u16, height: u16) -> Vec<u8> {
        let mut file = vec![
            0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xFF, 0xFF, 0xC4, 0, 3, 9,
        ];
        file.extend_from_slice(&[0xFF, 0xC2, 0, 11, 8]);
        file.extend_from_slice(&height.to_be_bytes());
        file.extend_from_slice(&width.to_be_bytes());
        file
    }

    fn webp_file(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WEBP".to_vec();
        file.extend_from_slice(&kind);
        file.extend_from_slice(&[0; 4]);
        file.extend_from_slice(body);
        file
    }

    #[test]
    fn sizes_of_pictures() {
        for (name, file, expected) in [
            ("png", png(1_000, 750), Some((1_000, 750))),
            ("gif", gif(300, 200), Some((300, 200))),
            ("jpeg", jpeg_file(640, 480), Some((640, 480))),
            (
                "webp, lossy",
                webp_file(*b"VP8 ", &[0, 0, 0, 0x9D, 1, 0x2A, 0x80, 2, 0xE0, 1]),
                Some((640, 480)),
            ),
            (
                "webp, lossless",
                webp_file(*b"VP8L", &[0x2F, 0x7F, 0xC2, 0x77, 0]),
                Some((640, 480)),
            ),
            (
                "webp, extended",
                webp_file(*b"VP8X", &[0, 0, 0, 0, 0x7F, 2, 0, 0xDF, 1, 0]),
                Some((640, 480)),
            ),
            ("cut", png(1, 1)[..20].to_vec(), None),
            ("picture without a size", vec![0xFF, 0xD8, 0xFF, 0xDA], None),
            ("something else", b"%PDF-1.7".to_vec(), None),
            ("nothing", Vec::new(), None),
        ] {
            assert_eq!(pixels(&file), expected, "{name}");
            assert_eq!(pixels(&head(&BASE64.encode(&file))), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..64), kind in 0usize..5) {
            let beginnings: [&[u8]; 5] = [b"", b"\x89PNG", b"GIF8", b"\xFF\xD8", b"RIFF\0\0\0\0WEBPVP8L"];
            let mut file = beginnings[kind].to_vec();
            file.extend_from_slice(&bytes);
            pixels(&file);
            head(&String::from_utf8_lossy(&bytes));
        }
    }
}
