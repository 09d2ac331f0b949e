//! The forms in which models write calls into their text.

use polywire_conversation::Text;
use polywire_wire::{Object, write_string};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::profile::Leak;

/// A call that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeakedCall {
    pub(super) name: String,
    /// A JSON object.
    pub(super) arguments: String,
}

/// What a block comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Calls(Vec<LeakedCall>),
    /// It ends too early: the tag that ends it is part of what it holds.
    More,
    Not,
}

/// Reads a block, its tags included, in whichever of the forms it is written.
pub(super) fn parse(block: &str, formats: &[Leak]) -> Parsed {
    let reads = |leak| formats.contains(&leak);
    if let Some(body) = between(block, "<tool_call>", "</tool_call>") {
        let body = body.trim();
        return match body.starts_with('{') {
            true if reads(Leak::ToolCallJson) => json_call(body),
            false if reads(Leak::ToolCallXml) => one(tagged_call(body)),
            true | false => Parsed::Not,
        };
    }
    if let Some(body) = between(
        block,
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
    ) {
        return all(body, section_call);
    }
    let invokes = between(block, "<minimax:tool_call>", "</minimax:tool_call>")
        .or_else(|| between(block, "<function_calls>", "</function_calls>"))
        .unwrap_or(block);
    all(invokes, invoke)
}

/// Whom a message in a channel is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    Thought,
    Said,
    /// The tool of this name.
    Call(String),
}

/// Reads the head of a message: what stands between `opened`, which is `<|start|>` or `<|channel|>`, and the content.
pub(super) fn read_head(opened: &str, head: &str) -> Option<Head> {
    let (role, channel) = match head.split_once("<|channel|>") {
        Some((role, channel)) => (role, channel),
        None if opened == "<|channel|>" => ("", head),
        None => (head, "final"),
    };
    let channel = channel.split("<|constrain|>").next().unwrap_or_default();
    let mut words = role.split_whitespace().chain(channel.split_whitespace());
    let recipient = words.find_map(|word| word.strip_prefix("to="));
    let recipient = recipient.map(|name| name.strip_prefix("functions.").unwrap_or(name));
    match (channel.split_whitespace().next()?, recipient) {
        ("analysis" | "commentary", Some(name)) if !name.is_empty() => {
            Some(Head::Call(name.to_owned()))
        }
        ("analysis", _) => Some(Head::Thought),
        ("final" | "commentary", _) => Some(Head::Said),
        _ => None,
    }
}

/// Text that is one JSON object.
pub(super) fn object(text: &str) -> Option<String> {
    let text = text.trim();
    let is_object = text.starts_with('{') && serde_json::from_str::<&RawValue>(text).is_ok();
    is_object.then(|| text.to_owned())
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    text.strip_prefix(open)?.strip_suffix(close)
}

fn one(call: Option<LeakedCall>) -> Parsed {
    call.map_or(Parsed::Not, |call| Parsed::Calls(vec![call]))
}

/// Reads one call after the other, with nothing but white space between them.
fn all(text: &str, read: fn(&str) -> Option<(LeakedCall, &str)>) -> Parsed {
    let mut calls = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let Some((call, behind)) = read(rest) else {
            return Parsed::Not;
        };
        calls.push(call);
        rest = behind.trim_start();
    }
    if calls.is_empty() {
        return Parsed::Not;
    }
    Parsed::Calls(calls)
}

/// `{"name": …, "arguments": {…}}`; the arguments may be a string that holds the object.
fn json_call(body: &str) -> Parsed {
    #[derive(Deserialize)]
    struct Named<'a> {
        name: String,
        #[serde(borrow, alias = "parameters")]
        arguments: Option<&'a RawValue>,
    }
    let named: Named<'_> = match serde_json::from_str(body) {
        Ok(named) => named,
        Err(error) if error.is_eof() => return Parsed::More,
        Err(_) => return Parsed::Not,
    };
    let arguments = match named.arguments.map(RawValue::get) {
        None | Some("null") => Some("{}".to_owned()),
        Some(json) => match json
            .strip_prefix('"')
            .and_then(|json| json.strip_suffix('"'))
        {
            Some(body) => object(&Text::escaped(body).to_plain()),
            None => object(json),
        },
    };
    one(arguments.map(|arguments| LeakedCall {
        name: named.name,
        arguments,
    }))
}

/// `name<arg_key>…</arg_key><arg_value>…</arg_value>`, or `<function=name><parameter=key>…</parameter></function>`.
fn tagged_call(body: &str) -> Option<LeakedCall> {
    if let Some(function) = between(body, "<function=", "</function>") {
        let (name, mut rest) = function.split_once('>')?;
        let mut members = Vec::new();
        while !rest.trim().is_empty() {
            let (key, behind) = rest
                .trim_start()
                .strip_prefix("<parameter=")?
                .split_once('>')?;
            let (value, behind) = behind.split_once("</parameter>")?;
            members.push((key, value));
            rest = behind;
        }
        return tagged(name, &members);
    }
    let (name, mut rest) = body.split_at(body.find("<arg_key>").unwrap_or(body.len()));
    let mut members = Vec::new();
    while !rest.trim().is_empty() {
        let (key, behind) = rest
            .trim_start()
            .strip_prefix("<arg_key>")?
            .split_once("</arg_key>")?;
        let (value, behind) = behind
            .trim_start()
            .strip_prefix("<arg_value>")?
            .split_once("</arg_value>")?;
        members.push((key, value));
        rest = behind;
    }
    tagged(name, &members)
}

/// `<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}<|tool_call_end|>`.
fn section_call(text: &str) -> Option<(LeakedCall, &str)> {
    let (id, rest) = text
        .strip_prefix("<|tool_call_begin|>")?
        .split_once("<|tool_call_argument_begin|>")?;
    let (arguments, rest) = rest.split_once("<|tool_call_end|>")?;
    let name = id.trim();
    let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
    let name = name.strip_prefix("functions.").unwrap_or(name);
    let call = LeakedCall {
        name: name.to_owned(),
        arguments: object(arguments)?,
    };
    Some((call, rest))
}

/// `<invoke name="…"><parameter name="…">…</parameter></invoke>`.
fn invoke(text: &str) -> Option<(LeakedCall, &str)> {
    let (name, rest) = text.strip_prefix("<invoke name=")?.split_once('>')?;
    let (body, behind) = rest.split_once("</invoke>")?;
    let mut members = Vec::new();
    let mut rest = body;
    while !rest.trim().is_empty() {
        let (key, inside) = rest
            .trim_start()
            .strip_prefix("<parameter name=")?
            .split_once('>')?;
        let (value, behind) = inside.split_once("</parameter>")?;
        members.push((unquoted(key), value));
        rest = behind;
    }
    Some((tagged(unquoted(name), &members)?, behind))
}

fn unquoted(name: &str) -> &str {
    let name = name.trim();
    between(name, "\"", "\"")
        .or_else(|| between(name, "'", "'"))
        .unwrap_or(name)
}

/// A call whose arguments are written member by member.
fn tagged(name: &str, members: &[(&str, &str)]) -> Option<LeakedCall> {
    let name = name.trim();
    let is_name =
        !name.is_empty() && !name.contains(|letter: char| letter.is_whitespace() || letter == '<');
    let mut out = Vec::new();
    let mut arguments = Object::open(&mut out);
    let mut keys: Vec<&str> = Vec::new();
    for (key, value) in members {
        let key = key.trim();
        if keys.contains(&key) {
            return None;
        }
        keys.push(key);
        write_value(value, arguments.member(key));
    }
    arguments.close();
    is_name.then(|| LeakedCall {
        name: name.to_owned(),
        arguments: String::from_utf8_lossy(&out).into_owned(),
    })
}

/// Writes a value. Chat templates write strings bare and everything else as JSON, so what reads as JSON and is no string is
/// taken for that; a string of digits cannot be told from a number.
fn write_value(value: &str, out: &mut Vec<u8>) {
    let trimmed = value.trim();
    let is_json = !trimmed.starts_with('"') && serde_json::from_str::<&RawValue>(trimmed).is_ok();
    if is_json {
        out.extend_from_slice(trimmed.as_bytes());
        return;
    }
    let value = value.strip_prefix('\n').unwrap_or(value);
    write_string(value.strip_suffix('\n').unwrap_or(value), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [Leak; 4] = [
        Leak::ToolCallJson,
        Leak::ToolCallXml,
        Leak::ToolCallSection,
        Leak::Invoke,
    ];

    fn check(block: &str, expected: &[(&str, &str)]) {
        let calls = expected
            .iter()
            .map(|(name, arguments)| LeakedCall {
                name: (*name).to_owned(),
                arguments: (*arguments).to_owned(),
            })
            .collect();
        assert_eq!(parse(block, &FORMATS), Parsed::Calls(calls), "{block}");
    }

    #[test]
    fn forms() {
        check(
            "<tool_call>\n{\"name\": \"get\", \"arguments\": {\"n\": 1.0}}\n</tool_call>",
            &[("get", "{\"n\": 1.0}")],
        );
        check(
            r#"<tool_call>{"name":"get","arguments":"{\"n\":\"a\"}"}</tool_call>"#,
            &[("get", r#"{"n":"a"}"#)],
        );
        check(
            "<tool_call>{\"name\":\"get\"}</tool_call>",
            &[("get", "{}")],
        );
        check(
            "<tool_call>get\n<arg_key>n</arg_key>\n<arg_value>1</arg_value>\n<arg_key>s</arg_key><arg_value>a \"b\"\n</arg_value></tool_call>",
            &[("get", r#"{"n":1,"s":"a \"b\""}"#)],
        );
        check("<tool_call>get</tool_call>", &[("get", "{}")]);
        check(
            "<tool_call>\n<function=get>\n<parameter=s>\ntwo\nlines\n</parameter>\n<parameter=o>{\"a\":[]}</parameter>\n</function>\n</tool_call>",
            &[("get", r#"{"s":"two\nlines","o":{"a":[]}}"#)],
        );
        check(
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.get:0<|tool_call_argument_begin|>{\"n\":1}<|tool_call_end|><|tool_call_begin|>add:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
            &[("get", "{\"n\":1}"), ("add", "{}")],
        );
        check(
            "<minimax:tool_call>\n<invoke name=\"get\">\n<parameter name=\"s\">x</parameter>\n</invoke>\n<invoke name='add'></invoke>\n</minimax:tool_call>",
            &[("get", r#"{"s":"x"}"#), ("add", "{}")],
        );
        check("<invoke name=\"get\"></invoke>", &[("get", "{}")]);
    }

    #[test]
    fn what_is_no_call() {
        for block in [
            "<tool_call></tool_call>",
            "<tool_call>{\"name\":\"get\",\"arguments\":[]}</tool_call>",
            "<tool_call>{\"name\":\"get\",\"arguments\":\"text\"}</tool_call>",
            "<tool_call>two words</tool_call>",
            "<tool_call>get<arg_key>a</arg_key>b</tool_call>",
            "<tool_call>get<arg_key>a</arg_key><arg_value>1</arg_value><arg_key>a</arg_key><arg_value>2</arg_value></tool_call>",
            "<|tool_calls_section_begin|><|tool_calls_section_end|>",
            "<|tool_calls_section_begin|><|tool_call_begin|>get<|tool_call_argument_begin|>{<|tool_call_end|><|tool_calls_section_end|>",
            "<function_calls>get</function_calls>",
            "<invoke name=\"get\">words</invoke>",
        ] {
            assert_eq!(parse(block, &FORMATS), Parsed::Not, "{block}");
        }
        let open = "<tool_call>{\"name\":\"say\",\"arguments\":{\"text\":\"</tool_call>";
        assert_eq!(parse(open, &FORMATS), Parsed::More);
        let other = "<tool_call>{\"name\":\"get\"}</tool_call>";
        assert_eq!(parse(other, &[Leak::ToolCallXml]), Parsed::Not);
    }

    #[test]
    fn heads() {
        for (opened, head, expected) in [
            ("<|channel|>", "analysis", Some(Head::Thought)),
            ("<|channel|>", "final", Some(Head::Said)),
            ("<|channel|>", "commentary", Some(Head::Said)),
            (
                "<|channel|>",
                "commentary to=functions.get <|constrain|>json",
                Some(Head::Call("get".to_owned())),
            ),
            ("<|start|>", "assistant<|channel|>final", Some(Head::Said)),
            (
                "<|start|>",
                "assistant to=functions.get<|channel|>commentary json",
                Some(Head::Call("get".to_owned())),
            ),
            ("<|start|>", "assistant", Some(Head::Said)),
            ("<|channel|>", "of 4", None),
            ("<|channel|>", "", None),
        ] {
            assert_eq!(read_head(opened, head), expected, "{opened}{head}");
        }
    }
}
