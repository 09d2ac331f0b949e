//! How many tokens a request is likely to have, for providers that neither count nor tell.
//!
//! A guess by size, good to about a fifth for prose and code. Counting exactly would need the tokenizer of each model. Whoever
//! shows such a number says that it is one.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::{
    CallInput, File, FileContent, Function, Image, Item, Json, OutputFormat, Part, Request, Text,
    Tool,
};

/// What roles, marks and separators of a message, a call or a result cost.
const FRAME_TOKENS: u64 = 4;

/// What a tool costs beside its own text.
const TOOL_TOKENS: u64 = 8;

/// The most that a picture costs, however large: providers scale it down (Anthropic's documentation, November 2026).
const IMAGE_TOKENS_MAX: u64 = 1_600;

/// Pixels per token of a picture, from the same source.
const IMAGE_PIXELS_PER_TOKEN: u64 = 750;

/// What a page of a document costs, as text and picture, and how large it is taken to be. Both are guesses: the documentation says 1,500
/// to 3,000 tokens per page and nothing about sizes.
const PAGE_TOKENS: u64 = 2_000;
const PAGE_BYTES: u64 = 50_000;

/// The most bytes of base64 that are decoded to find a picture's size. JPEG files can have previews and profiles before it, 64 KiB
/// each.
const IMAGE_HEAD_BYTES_MAX: usize = 256 * 1024;

/// The tokens of so many bytes of text.
pub const fn text_tokens(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(4)
}

/// The input tokens of a whole request: text, tools and their schemas, pictures, documents. Never 0.
pub fn request_tokens(request: &Request<'_>) -> u64 {
    let instructions = request.instructions.as_ref().map_or(0, text);
    let items: u64 = request.items.iter().map(item).sum();
    let tools: u64 = request.tools.iter().map(tool).sum();
    let format = match &request.format {
        OutputFormat::Text => 0,
        OutputFormat::JsonObject => FRAME_TOKENS,
        OutputFormat::JsonSchema { schema, .. } => json(schema),
    };
    (instructions + items + tools + format).max(1)
}

fn text(text: &Text<'_>) -> u64 {
    text_tokens(text.as_written().len())
}

fn json(json: &Json<'_>) -> u64 {
    text_tokens(json.as_str().len())
}

fn item(item: &Item<'_>) -> u64 {
    FRAME_TOKENS
        + match item {
            Item::Message(message) => parts(&message.parts),
            // Sealed state is larger than what it stands for, and most providers do not count that of earlier turns.
            Item::Reasoning(reasoning) => reasoning.visible.parts().iter().map(text).sum(),
            Item::Call(call) => {
                text_tokens(call.name.len())
                    + match &call.input {
                        CallInput::Arguments(input) | CallInput::Freeform(input) => text(input),
                        CallInput::Search(input) => json(input),
                    }
            }
            Item::Result(result) => {
                parts(&result.parts) + result.tools_loaded.iter().map(tool).sum::<u64>()
            }
            Item::ToolsAdded(tools) => tools.iter().map(tool).sum(),
            Item::HostedCall { summary, .. } => text(summary),
            Item::Compaction { summary, sealed } => {
                summary.as_ref().or(sealed.as_ref()).map_or(0, text)
            }
            Item::Unknown { raw, .. } => json(raw),
        }
}

fn parts(parts: &[Part<'_>]) -> u64 {
    parts
        .iter()
        .map(|part| match part {
            Part::Text(said) | Part::Refusal(said) => text(said),
            Part::Image(image) => image_tokens(image),
            Part::File(file) => file_tokens(file),
            Part::Audio(raw) | Part::Unknown { raw, .. } => json(raw),
        })
        .sum()
}

fn tool(tool: &Tool<'_>) -> u64 {
    let about = |name: &str, description: &Option<Text<'_>>| {
        TOOL_TOKENS + text_tokens(name.len()) + description.as_ref().map_or(0, text)
    };
    match tool {
        Tool::Function(Function {
            name,
            description,
            parameters,
            ..
        }) => about(name, description) + parameters.as_ref().map_or(0, json),
        Tool::Freeform {
            name,
            description,
            grammar,
        } => {
            about(name, description)
                + grammar
                    .as_ref()
                    .map_or(0, |grammar| text(&grammar.definition))
        }
        Tool::Namespace {
            name,
            description,
            tools,
        } => about(name, description) + tools.iter().map(self::tool).sum::<u64>(),
        Tool::Search {
            description,
            parameters,
        } => about("", description) + parameters.as_ref().map_or(0, json),
        Tool::Hosted { raw, .. } | Tool::Unknown { raw, .. } => TOOL_TOKENS + json(raw),
    }
}

/// A picture by its size in pixels; one whose size is not known counts as the largest.
fn image_tokens(image: &Image<'_>) -> u64 {
    let known = image
        .url
        .as_written()
        .split_once(";base64,")
        .and_then(|(_, base64)| pixels(&head(base64)));
    match known {
        Some((width, height)) => (u64::from(width) * u64::from(height) / IMAGE_PIXELS_PER_TOKEN)
            .clamp(1, IMAGE_TOKENS_MAX),
        None => IMAGE_TOKENS_MAX,
    }
}

fn file_tokens(file: &File<'_>) -> u64 {
    match &file.content {
        FileContent::Text(content) => text(content),
        FileContent::Base64(content) => {
            let bytes = content.as_written().len() as u64 / 4 * 3;
            bytes.div_ceil(PAGE_BYTES).max(1) * PAGE_TOKENS
        }
        FileContent::Url(_) | FileContent::Stored(_) => PAGE_TOKENS,
    }
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
mod tests {
    use super::*;
    use crate::{Message, Role};
    use base64::engine::general_purpose::STANDARD as BASE64;
    use proptest::prelude::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
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

    fn picture(url: String) -> u64 {
        image_tokens(&Image {
            url: Text::escaped(url),
            detail: None,
        })
    }

    #[test]
    fn pictures_count_by_their_size_and_not_by_their_bytes() {
        let of = |file: Vec<u8>| {
            let base64 = BASE64.encode(file).replace('/', "\\/");
            picture(format!("data:image/png;base64,{base64}"))
        };
        assert_eq!(of(png(300, 250)), 100);
        assert_eq!(of(png(1, 1)), 1);
        assert_eq!(of(png(u32::MAX, u32::MAX)), 1_600);
        let mut large = png(300, 250);
        large.resize(5_000_000, 0);
        assert_eq!(of(large), 100);
        assert_eq!(of(b"no picture".to_vec()), 1_600);
        assert_eq!(picture("https://pictures.example/1.png".to_owned()), 1_600);
    }

    #[test]
    fn requests() {
        assert_eq!(request_tokens(&Request::default()), 1);
        let said = |text: &str| Request {
            items: vec![Item::Message(Message {
                role: Role::User,
                parts: vec![Part::Text(Text::plain(text.to_owned()))],
                phase: None,
            })],
            ..Request::default()
        };
        assert_eq!(request_tokens(&said(&"word ".repeat(80))), 104);
        let mut with_tool = said("x");
        with_tool.tools = vec![Tool::Function(Function {
            name: "read".into(),
            description: Some(Text::plain("Reads it.")),
            parameters: Some(Json::new("{\"type\":\"object\"}")),
            strict: None,
            deferred: false,
        })];
        assert_eq!(request_tokens(&with_tool), 5 + 8 + 1 + 3 + 5);
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
