//! Random conversations, sensible or not, in which every piece has words of its own.

use polywire_conversation::{
    Call, CallInput, Dialect, File, FileContent, Function, Grammar, Image, Instruction, Item, Json,
    Message, Part, Phase, Reasoning, Request, Role, Text, Tool, ToolResult, VisibleReasoning,
};
use proptest::prelude::*;

/// Call ids: usual ones, some of which come again, and such as no provider takes.
const IDS: [&str; 6] = [
    "call_a",
    "call_b",
    "toolu_c",
    "functions.read:0",
    "with space",
    "",
];

/// The tool that takes free text.
const FREEFORM: &str = "apply_patch";

/// Names and namespaces of tools.
const TOOLS: [(&str, Option<&str>); 6] = [
    ("get", None),
    (FREEFORM, None),
    ("get", Some("mcp__x")),
    ("größe/2", None),
    ("a.b", Some("mcp.y")),
    (
        "a_tool_whose_name_is_longer_than_any_provider_takes_it_as_it_stands_here",
        None,
    ),
];

/// One step of a conversation in numbers, so that a failing one shrinks well: what it is, and which variety.
type Step = (u8, u8, u8);

/// A request with a random conversation.
pub(crate) fn request() -> impl Strategy<Value = Request<'static>> {
    let steps = prop::collection::vec((0..18_u8, 0..6_u8, 0..8_u8), 0..14);
    let tools = prop::collection::vec((0..5_u8, 0..6_usize), 0..5);
    (steps, tools, 0..3_u8, any::<bool>()).prop_map(|(steps, tools, dialect, instructed)| {
        let mut build = Build::default();
        let instructions = instructed.then(|| build.text(0));
        // Somebody has to say something; sometimes it is the model that begins.
        let user_begins = dialect != 2;
        if user_begins {
            build.message(Role::User, 0, 0);
        }
        for step in steps {
            build.step(step);
        }
        if !user_begins {
            build.message(Role::User, 0, 0);
        }
        Request {
            dialect: [Dialect::Responses, Dialect::Chat, Dialect::Messages][usize::from(dialect)],
            model: "m".into(),
            instructions,
            items: build.items,
            tools: tools
                .into_iter()
                .map(|(kind, name)| tool(kind, name))
                .collect(),
            output_tokens_max: Some(1_000),
            ..Request::default()
        }
    })
}

#[derive(Default)]
struct Build {
    items: Vec<Item<'static>>,
    count: usize,
}

impl Build {
    /// Words that stand nowhere else.
    fn token(&mut self) -> String {
        self.count += 1;
        format!("T{:03}", self.count)
    }

    /// A text with such words, of some variety.
    fn text(&mut self, variety: u8) -> Text<'static> {
        let token = self.token();
        match variety {
            0 => Text::plain(token),
            1 => Text::plain(format!(" {token}\n\n")),
            2 => Text::plain(format!("\"{token}\\ é\u{1F570}\t")),
            3 => Text::escaped(format!(r"{token}\ud83d\ude00\n\/")),
            4 => Text::escaped(format!(r"\ud83d{token}")),
            5 => Text::plain(format!("<think>{token}</think>")),
            6 => Text::plain(format!("<system-reminder>{token}</system-reminder>\r\n")),
            _ => Text::plain(format!("```json\n{{\"{token}\": 1}}\n```")),
        }
    }

    fn part(&mut self, kind: u8, variety: u8) -> Part<'static> {
        match kind {
            0 | 1 => Part::Text(self.text(variety)),
            2 => Part::Image(self.image(variety)),
            3 => Part::File(self.file(variety)),
            4 => Part::Text(Text::plain(["", " ", "\n"][usize::from(variety % 3)])),
            _ => Part::Audio(Json::new(format!(
                r#"{{"type":"input_audio","input_audio":{{"data":"{}","format":"wav"}}}}"#,
                self.token()
            ))),
        }
    }

    fn image(&mut self, variety: u8) -> Image<'static> {
        let token = self.token();
        let url = if variety.is_multiple_of(2) {
            format!("https://a.example/{token}.png?a=b&c")
        } else {
            format!("data:image/png;base64,iVBORw0KGgoA{token}")
        };
        let detail = (variety == 7).then(|| "low".into());
        Image {
            url: Text::plain(url),
            detail,
        }
    }

    fn file(&mut self, variety: u8) -> File<'static> {
        let token = self.token();
        let content = match variety % 4 {
            0 => FileContent::Base64(Text::plain(format!("JVBERi0x{token}"))),
            1 => FileContent::Text(Text::plain(format!("{token} in a file"))),
            2 => FileContent::Url(Text::plain(format!("https://a.example/{token}.pdf"))),
            _ => FileContent::Stored(Text::plain(format!("file-{token}"))),
        };
        let media_type = match &content {
            FileContent::Base64(_) | FileContent::Url(_) => Some("application/pdf".into()),
            FileContent::Text(_) => Some("text/plain".into()),
            FileContent::Stored(_) => None,
        };
        File {
            name: (variety > 3).then(|| "a.pdf".into()),
            media_type,
            content,
        }
    }

    fn message(&mut self, role: Role, kind: u8, variety: u8) {
        let mut parts = vec![self.part(kind, variety)];
        if variety > 4 {
            parts.push(Part::Text(self.text(variety)));
        }
        let phase = (role == Role::Assistant && variety == 3).then_some(Phase::Commentary);
        self.items
            .push(Item::Message(Message { role, parts, phase }));
    }

    fn call(&mut self, id: u8, variety: u8) {
        let token = self.token();
        let input = match variety {
            0..3 => {
                CallInput::Arguments(Text::plain(format!("{{\"a\": \"{token}\", \"n\": 1.50}}")))
            }
            3 => CallInput::Arguments(Text::plain(format!("{token} is no JSON"))),
            4 => CallInput::Arguments(Text::plain(format!("[\"{token}\"]"))),
            5 | 6 => CallInput::Freeform(Text::plain(format!("*** {token}\n+\"q\" \\ é"))),
            _ => CallInput::Search(Json::new(format!("{{\"query\":\"{token}\"}}"))),
        };
        let (name, namespace) = match &input {
            CallInput::Arguments(_) => TOOLS[[0, 2, 3, 4, 5, 0][usize::from(id)]],
            CallInput::Freeform(_) => (FREEFORM, None),
            CallInput::Search(_) => ("tool_search", None),
        };
        self.items.push(Item::Call(Call {
            id: IDS[usize::from(id)].into(),
            name: name.into(),
            namespace: namespace.map(Into::into),
            input,
        }));
    }

    fn result(&mut self, id: u8, variety: u8) {
        let kind = [0, 0, 2, 3, 0, 0, 4, 0][usize::from(variety)];
        let mut parts = vec![Part::Text(self.text(variety))];
        parts.push(self.part(kind, variety));
        self.items.push(Item::Result(ToolResult {
            call_id: IDS[usize::from(id)].into(),
            parts,
            tools_loaded: Vec::new(),
            is_error: variety == 5,
        }));
    }

    fn reasoning(&mut self, variety: u8) {
        let parts = vec![self.text(variety)];
        let visible = if variety.is_multiple_of(2) {
            VisibleReasoning::Full(parts)
        } else {
            VisibleReasoning::Summary(parts)
        };
        self.items.push(Item::Reasoning(Reasoning {
            visible,
            sealed: (variety == 4).then(|| "foreign".into()),
            state: Vec::new(),
        }));
    }

    fn step(&mut self, (what, which, variety): Step) {
        match what {
            0..4 => self.message(Role::User, which, variety),
            4..6 => self.message(Role::Assistant, 0, variety),
            6 => self.message(Role::Assistant, which, variety),
            7 => self.message(Role::Instructor(Instruction::Developer), 0, variety),
            8 => self.message(Role::Instructor(Instruction::System), which, variety),
            9..11 => {
                self.call(which, variety);
                self.result(which, variety);
            }
            11 => {
                let other = (which + 1) % 6;
                self.call(which, variety);
                self.call(other, 0);
                self.result(other, 1);
                self.result(which, variety);
            }
            12 => self.call(which, variety),
            13 => self.result(which, variety),
            14 => self.reasoning(variety),
            15 => {
                let summary = self.text(variety);
                let tag = "web_search_call".into();
                self.items.push(Item::HostedCall { tag, summary });
            }
            16 => {
                let summary = (variety > 2).then(|| self.text(variety));
                let sealed = Some("sealed".into());
                self.items.push(Item::Compaction { sealed, summary });
            }
            _ if variety > 5 => self.items.push(Item::Unknown {
                tag: "odd".into(),
                raw: Json::new("{\"type\":\"odd\"}"),
            }),
            _ => {
                let refusal = Part::Refusal(self.text(variety));
                self.items.push(Item::Message(Message {
                    role: Role::Assistant,
                    parts: vec![refusal],
                    phase: None,
                }));
            }
        }
    }
}

fn tool(kind: u8, name: usize) -> Tool<'static> {
    let function = |name: &'static str| {
        Tool::Function(Function {
            name: name.into(),
            description: Some("words".into()),
            parameters: Some(Json::new(
                r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
            )),
            strict: None,
            deferred: false,
        })
    };
    let (name, namespace) = TOOLS[name];
    match (kind, namespace) {
        (_, Some(namespace)) => Tool::Namespace {
            name: namespace.into(),
            description: Some("a group".into()),
            tools: vec![function(name)],
        },
        // Clients do not change the form of a tool on the way: the calls of the conversation have the same.
        (0..3, None) if name == FREEFORM => Tool::Freeform {
            name: name.into(),
            description: None,
            grammar: Some(Grammar {
                syntax: "lark".into(),
                definition: "start: \"x\"".into(),
            }),
        },
        (0..3, None) => function(name),
        (3, None) => Tool::Search {
            description: Some("finds tools".into()),
            parameters: None,
        },
        (_, None) => Tool::Hosted {
            tag: "web_search".into(),
            raw: Json::new(r#"{"type":"web_search"}"#),
        },
    }
}
