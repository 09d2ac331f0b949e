//! Which tool the demo calls, and with what.

use polywire_conversation::tools::{OfferedKind, OfferedTool, offer};
use polywire_conversation::{Form, Json, NameRule, Request, ToolChoice};
use serde_json::{Value, json};

use crate::instance;

/// A call that the demo makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picked {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) form: Form,
    /// What the tool gets: JSON for functions and searches, the text itself for freeform tools.
    pub(crate) input: String,
}

/// Tools that run commands, by the names that clients give them.
const SHELLS: &[&str] = &[
    "exec_command",
    "shell",
    "shell_command",
    "bash",
    "run_command",
    "execute_command",
    "run_terminal_cmd",
    "run_shell_command",
];

/// Where such tools take the command.
const COMMAND_KEYS: &[&str] = &["cmd", "command"];

/// What they are given: prints a line with every shell there is, and changes nothing.
const COMMAND: [&str; 2] = ["echo", "Hello from polywire"];

/// Words in the names of tools that change or send something. A demo must not call those with made-up arguments unless it is
/// told to.
const NOT_HARMLESS: &[&str] = &[
    "apply", "cancel", "close", "commit", "create", "delete", "deploy", "drop", "edit", "install",
    "kill", "merge", "move", "pay", "post", "publish", "push", "put", "remove", "rename", "reset",
    "send", "set", "spawn", "stop", "submit", "update", "upload", "write",
];

/// What a freeform tool gets.
const FREE_TEXT: &str = "Hello from polywire's demo model.";

/// The call to make, when the request allows one: the tool that it names, else one that runs commands, else the first
/// harmless function.
pub(crate) fn pick(request: &Request<'_>) -> Option<Picked> {
    let offered = offer(request, NameRule::default());
    let tools = offered.tools.as_slice();
    let harmless = |tool: &&OfferedTool<'_>| {
        tool.kind.form() == Form::Function && (is_shell(tool) || is_harmless(tool.name))
    };
    let by_habit = || {
        let shell = tools.iter().find(|tool| is_shell(tool));
        shell.or_else(|| tools.iter().find(harmless))
    };
    let chosen = match &request.tool_choice {
        ToolChoice::None | ToolChoice::Hosted(_) => None,
        ToolChoice::Unset | ToolChoice::Auto => by_habit(),
        ToolChoice::Required => by_habit().or(tools.first()),
        ToolChoice::Named { name, namespace } => tools
            .iter()
            .find(|tool| tool.name == *name && tool.namespace == namespace.as_deref()),
        ToolChoice::Allowed { required, names } => {
            let mut allowed = tools
                .iter()
                .filter(|tool| names.iter().any(|name| tool.name == *name));
            let first = allowed.clone().next().filter(|_| *required);
            allowed.find(harmless).or(first)
        }
    };
    chosen.map(picked)
}

fn is_shell(tool: &OfferedTool<'_>) -> bool {
    SHELLS.contains(&tool.name) && tool.kind.form() == Form::Function
}

fn is_harmless(name: &str) -> bool {
    !name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .any(|word| NOT_HARMLESS.contains(&word.to_ascii_lowercase().as_str()))
}

fn picked(tool: &OfferedTool<'_>) -> Picked {
    Picked {
        name: tool.name.to_owned(),
        namespace: tool.namespace.map(str::to_owned),
        form: tool.kind.form(),
        input: match &tool.kind {
            OfferedKind::Function(function) => arguments(tool, function.parameters.as_ref()),
            OfferedKind::Search { parameters, .. } => arguments(tool, *parameters),
            OfferedKind::Freeform { .. } => FREE_TEXT.to_owned(),
        },
    }
}

fn arguments(tool: &OfferedTool<'_>, parameters: Option<&Json<'_>>) -> String {
    let schema = parameters
        .and_then(|schema| serde_json::from_str(schema.as_str()).ok())
        .unwrap_or(Value::Null);
    let mut arguments = instance::of(&schema);
    if !arguments.is_object() {
        arguments = json!({});
    }
    if is_shell(tool)
        && let Some((key, command)) = command(&schema)
    {
        arguments[key] = command;
    }
    arguments.to_string()
}

/// The argument that holds the command, as a line or as a list of words, whichever the schema wants.
fn command(schema: &Value) -> Option<(&'static str, Value)> {
    let properties = &schema["properties"];
    let key = COMMAND_KEYS
        .iter()
        .find(|key| properties[**key].is_object())?;
    let command = if properties[*key]["type"] == "array" {
        json!(COMMAND)
    } else {
        json!(COMMAND.join(" "))
    };
    Some((key, command))
}
