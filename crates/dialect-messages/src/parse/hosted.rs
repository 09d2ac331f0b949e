//! Calls that a provider carried out in an earlier turn, told in a few words for the model that goes on.
//!
//! The provider's own form of them, with results that only it can read, goes back to it by the path that keeps the bytes of a
//! request; what is read here is for everybody else.

use std::borrow::Cow;
use std::fmt::Write as _;

use polywire_conversation::{Fault, Item, Role, Text};
use polywire_wire::{At, Field, Many, field, first_byte, name, read, wire_object};
use serde_json::value::RawValue;

use super::blocks::WireBlock;
use super::messages::Reader;
use crate::limits::{OUTCOME_CHARS_MAX, SOURCES_LISTED_MAX};

/// A call of which the result may still come.
pub(super) struct Hosted {
    /// Where its item is.
    item: usize,
    /// What was called, in words.
    what: String,
}

wire_object! {
    WireInput {
        query: "query",
        url: "url",
        code: "code",
        command: "command",
        path: "path",
        pattern: "pattern",
    }
}

impl<'a> Reader<'a, '_> {
    /// `server_tool_use` and `mcp_tool_use`.
    pub(super) fn hosted_use(
        &mut self,
        tag: &str,
        role: Role,
        wire: &WireBlock<'a>,
        at: &At<'_>,
    ) -> Result<(), Fault> {
        let id = field(wire.id, at, "id").required_name()?;
        let tool = field(wire.name, at, "name").required_name()?;
        let what = if tag == "mcp_tool_use" {
            let server = field(wire.server_name, at, "server_name").name()?;
            format!("tool `{tool}` of `{}`", server.unwrap_or_default())
        } else {
            let input = field(wire.input, at, "input");
            in_words(&tool, &input.object()?.unwrap_or_default(), input.at())?
        };
        self.item(role, hosted(tag_of(tag, &tool), &what, ""));
        let item = self.items.len() - 1;
        self.hosted.insert(id, Hosted { item, what });
        Ok(())
    }

    /// The blocks with what came of such calls.
    pub(super) fn hosted_result(
        &mut self,
        tag: &str,
        role: Role,
        wire: &WireBlock<'a>,
        at: &At<'_>,
    ) -> Result<(), Fault> {
        let id = field(wire.tool_use_id, at, "tool_use_id").required_name()?;
        let outcome = outcome(field(wire.content, at, "content"))?;
        if let Some(why) = outcome.loss {
            self.notes.note(at.to_string(), why);
        }
        let told: String = outcome.told.chars().take(OUTCOME_CHARS_MAX).collect();
        if told.len() < outcome.told.len() {
            self.notes
                .degraded(at.to_string(), "shortened: the output is very long");
        }
        if let Some(Hosted { item, what }) = self.hosted.remove(&id)
            && let Some(Item::HostedCall { summary, .. }) = self.items.get_mut(item)
        {
            *summary = summary_of(&what, &told);
            return Ok(());
        }
        let tool = tag.trim_end_matches("_tool_result");
        self.item(
            role,
            hosted(tag_of(tag, tool), &tool.replace('_', " "), &told),
        );
        Ok(())
    }
}

/// The neutral type of a call, which is that of the Responses protocol where it has one.
fn tag_of(block: &str, tool: &str) -> Cow<'static, str> {
    if block.starts_with("mcp_") {
        return Cow::Borrowed("mcp_call");
    }
    match tool {
        "web_search" => Cow::Borrowed("web_search_call"),
        other => Cow::Owned(format!("{other}_call")),
    }
}

fn hosted<'a>(tag: Cow<'a, str>, what: &str, told: &str) -> Item<'a> {
    Item::HostedCall {
        tag,
        summary: summary_of(what, told),
    }
}

fn summary_of<'a>(what: &str, told: &str) -> Text<'a> {
    Text::plain(format!("[{what}{told}]"))
}

/// A call in words: the tool, and what it was asked.
fn in_words(tool: &str, input: &WireInput<'_>, at: &At<'_>) -> Result<String, Fault> {
    let mut asked = Vec::new();
    for (raw, key) in [
        (input.query, "query"),
        (input.pattern, "pattern"),
        (input.url, "url"),
        (input.code, "code"),
        (input.command, "command"),
        (input.path, "path"),
    ] {
        asked.extend(string(raw, &at.key(key))?);
    }
    let tool = match tool {
        "bash_code_execution" | "text_editor_code_execution" => "code execution".to_owned(),
        tool if tool.starts_with("tool_search_tool") => "tool search".to_owned(),
        tool => tool.replace('_', " "),
    };
    if asked.is_empty() {
        return Ok(tool);
    }
    Ok(format!("{tool}: {}", asked.join(" ")))
}

/// A string, or nothing where something else stands: these are only told.
fn string<'a>(raw: Option<&'a RawValue>, at: &At<'_>) -> Result<Option<Cow<'a, str>>, Fault> {
    match raw {
        Some(raw) if first_byte(raw) == b'"' => name(raw, at).map(Some),
        Some(_) | None => Ok(None),
    }
}

/// What came of a call.
#[derive(Default)]
struct Outcome {
    /// In words, to stand behind the call.
    told: String,
    /// What the words do not hold.
    loss: Option<&'static str>,
}

wire_object! {
    WireOutcome {
        tag: "type",
        error_code: "error_code",
        stdout: "stdout",
        stderr: "stderr",
        url: "url",
        tool_references: "tool_references",
    }
}

wire_object! {
    WireFound {
        url: "url",
        title: "title",
        text: "text",
        tool_name: "tool_name",
        encrypted_content: "encrypted_content",
    }
}

fn outcome<'a>(content: Field<'a, '_>) -> Result<Outcome, Fault> {
    if !content.is_set() {
        return Ok(Outcome::default());
    }
    let raw = content.required()?;
    match first_byte(raw) {
        b'[' => found(raw, content.at()),
        b'{' => {
            let wire: WireOutcome<'a> = polywire_wire::object(raw, content.at())?;
            single(&wire, content.at())
        }
        _ => Ok(Outcome {
            told: string(Some(raw), content.at())?
                .map(|text| format!("\n{text}"))
                .unwrap_or_default(),
            loss: None,
        }),
    }
}

/// A list: pages, tools, or texts.
fn found<'a>(raw: &'a RawValue, at: &At<'_>) -> Result<Outcome, Fault> {
    let Many(list) = read::<Many<WireFound<'a>>>(raw.get(), at)?;
    let mut outcome = Outcome::default();
    let mut pages = 0usize;
    for wire in &list {
        if wire.encrypted_content.is_some() {
            outcome.loss = Some(
                "the words of the pages that were found are sealed by the provider that searched; only titles and addresses are told",
            );
        }
        if let Some(text) = string(wire.text, at)? {
            write_line(&mut outcome.told, format_args!("{text}"));
        } else if let Some(tool) = string(wire.tool_name, at)? {
            write_line(&mut outcome.told, format_args!("- {tool}"));
        } else if let Some(url) = string(wire.url, at)? {
            pages += 1;
            if pages <= SOURCES_LISTED_MAX {
                let title = string(wire.title, at)?.unwrap_or_default();
                write_line(&mut outcome.told, format_args!("- {title} <{url}>"));
            }
        }
    }
    if pages > SOURCES_LISTED_MAX {
        let more = pages - SOURCES_LISTED_MAX;
        write_line(&mut outcome.told, format_args!("and {more} more"));
    }
    Ok(outcome)
}

/// One object: an error, the output of a program, a page, or tools.
fn single(wire: &WireOutcome<'_>, at: &At<'_>) -> Result<Outcome, Fault> {
    let tag = string(wire.tag, at)?.unwrap_or_default();
    if tag.ends_with("_error") {
        let code = string(wire.error_code, at)?.unwrap_or(Cow::Borrowed("unknown"));
        return Ok(Outcome {
            told: format!("\nfailed: {code}"),
            loss: None,
        });
    }
    if let Some(tools) = wire.tool_references {
        if first_byte(tools) == b'[' {
            return found(tools, at);
        }
        return Ok(Outcome::default());
    }
    if string(wire.url, at)?.is_some() {
        return Ok(Outcome {
            told: String::new(),
            loss: Some(
                "the words of a page that was fetched in an earlier turn are not told again",
            ),
        });
    }
    let mut told = String::new();
    for output in [wire.stdout, wire.stderr] {
        if let Some(text) = string(output, at)?.filter(|text| !text.is_empty()) {
            write_line(&mut told, format_args!("{text}"));
        }
    }
    Ok(Outcome { told, loss: None })
}

fn write_line(told: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    _ = write!(told, "\n{line}");
}
