//! Tools that go by a dated type, such as `bash_20250124`.
//!
//! Models of one provider are trained on them and need no schema; for every other model those that the client carries out become
//! functions with the schema that the documentation gives in words (Anthropic's documentation, November 2026).

use polywire_conversation::Text;

/// A tool that the client carries out.
pub(super) struct ClientRun {
    /// How its types begin.
    prefix: &'static str,
    /// The name that it goes by, where the client gives none.
    pub(super) name: &'static str,
    description: &'static str,
    /// The schema of its input.
    pub(super) schema: &'static str,
}

const CLIENT_RUN: [ClientRun; 5] = [
    ClientRun {
        prefix: "bash_",
        name: "bash",
        description: "Runs a command in a bash session that keeps its state from call to call.",
        schema: r#"{"type":"object","properties":{"command":{"type":"string","description":"The command to run. Required unless `restart` is true."},"restart":{"type":"boolean","description":"Starts the session anew."}}}"#,
    },
    ClientRun {
        // The version before May 2025 inserts `new_str` and can take an edit back.
        prefix: "text_editor_20250124",
        name: "str_replace_editor",
        description: "Views, creates and edits text files.",
        schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","undo_edit"],"description":"What to do."},"path":{"type":"string","description":"The file, or for `view` also a directory."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For `view`: the first and the last line, counted from 1; -1 is the end of the file."},"file_text":{"type":"string","description":"For `create`: the whole text of the file."},"old_str":{"type":"string","description":"For `str_replace`: the text to replace, exactly as it stands and only once in the file."},"new_str":{"type":"string","description":"For `str_replace`: the text to put in its place; for `insert`: the text to insert."},"insert_line":{"type":"integer","description":"For `insert`: the line behind which the text goes; 0 is the beginning."}},"required":["command","path"]}"#,
    },
    ClientRun {
        prefix: "text_editor_",
        name: "str_replace_based_edit_tool",
        description: "Views, creates and edits text files.",
        schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert"],"description":"What to do."},"path":{"type":"string","description":"The file, or for `view` also a directory."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For `view`: the first and the last line, counted from 1; -1 is the end of the file."},"file_text":{"type":"string","description":"For `create`: the whole text of the file."},"old_str":{"type":"string","description":"For `str_replace`: the text to replace, exactly as it stands and only once in the file."},"new_str":{"type":"string","description":"For `str_replace`: the text to put in its place."},"insert_line":{"type":"integer","description":"For `insert`: the line behind which the text goes; 0 is the beginning."},"insert_text":{"type":"string","description":"For `insert`: the text to insert."}},"required":["command","path"]}"#,
    },
    ClientRun {
        prefix: "computer_2",
        name: "computer",
        description: "Looks at a screen and uses its mouse and keyboard.",
        schema: r#"{"type":"object","properties":{"action":{"type":"string","enum":["screenshot","key","hold_key","type","cursor_position","mouse_move","left_mouse_down","left_mouse_up","left_click","left_click_drag","right_click","middle_click","double_click","triple_click","scroll","wait","zoom"],"description":"What to do."},"coordinate":{"type":"array","items":{"type":"integer"},"description":"Where on the screen: x and y, in pixels from the upper left corner."},"start_coordinate":{"type":"array","items":{"type":"integer"},"description":"For `left_click_drag`: where to begin."},"region":{"type":"array","items":{"type":"integer"},"description":"For `zoom`: x and y of the upper left and of the lower right corner."},"text":{"type":"string","description":"For `type`: the text; for `key` and `hold_key`: the keys, joined by +; for clicks and scrolling: keys to hold."},"scroll_direction":{"type":"string","enum":["up","down","left","right"]},"scroll_amount":{"type":"integer","description":"How many clicks of the wheel."},"duration":{"type":"number","description":"For `hold_key` and `wait`: seconds."}},"required":["action"]}"#,
    },
    ClientRun {
        prefix: "memory_",
        name: "memory",
        description: "Reads and writes files below `/memories`, which outlast the conversation. Look there before you begin.",
        schema: r#"{"type":"object","properties":{"command":{"type":"string","enum":["view","create","str_replace","insert","delete","rename"],"description":"What to do."},"path":{"type":"string","description":"The file or directory; not for `rename`."},"view_range":{"type":"array","items":{"type":"integer"},"description":"For `view`: the first and the last line."},"file_text":{"type":"string","description":"For `create`: the whole text of the file."},"old_str":{"type":"string","description":"For `str_replace`: the text to replace."},"new_str":{"type":"string","description":"For `str_replace`: the text to put in its place."},"insert_line":{"type":"integer","description":"For `insert`: the line behind which the text goes."},"insert_text":{"type":"string","description":"For `insert`: the text to insert."},"old_path":{"type":"string","description":"For `rename`: the present name."},"new_path":{"type":"string","description":"For `rename`: the new name."}},"required":["command"]}"#,
    },
];

/// The tool of this type that the client carries out. Toolsets (`computer_toolset_…`) are not among them: what calls of theirs look
/// like is agreed on between one provider and its SDK.
pub(super) fn client_run(tag: &str) -> Option<&'static ClientRun> {
    static KNOWN: &[ClientRun] = &CLIENT_RUN;
    KNOWN.iter().find(|tool| tag.starts_with(tool.prefix))
}

/// What the model is told about a tool; for a screen also its size.
pub(super) fn description<'a>(
    tool: &ClientRun,
    width: Option<u64>,
    height: Option<u64>,
) -> Text<'a> {
    match (width, height) {
        (Some(width), Some(height)) => Text::plain(format!(
            "{} The screen is {width} pixels wide and {height} pixels high.",
            tool.description
        )),
        _ => Text::plain(tool.description),
    }
}

/// The neutral name of a tool that the provider carries out.
pub(super) fn hosted(tag: &str) -> Option<&'static str> {
    [
        ("web_search_", "web_search"),
        ("web_fetch_", "web_fetch"),
        ("code_execution_", "code_execution"),
        ("tool_search_tool_", "tool_search"),
        ("mcp_toolset", "mcp"),
    ]
    .into_iter()
    .find_map(|(prefix, neutral)| tag.starts_with(prefix).then_some(neutral))
}
