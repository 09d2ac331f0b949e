//! How many tokens a request is likely to have, for providers that neither count nor tell.
//!
//! A guess by size, good to about a fifth for prose and code. Counting exactly would need the tokenizer of each model. Whoever
//! shows such a number says that it is one.

mod pixels;

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
        .and_then(|(_, base64)| pixels::of_base64(base64));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Message, Role};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use pixels::tests::png;

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
}
