//! What Codex does by itself in a turn, and whether it may be done twice.

/// Whether an item of a turn may have changed something, on this machine or elsewhere: such a turn must not be made again.
///
/// `item` is the item's type as the app-server or `codex exec` spells it. Without `agent` the sandbox lets commands read only.
pub(crate) fn changes_something(item: &str, agent: bool) -> bool {
    match item {
        "commandExecution" | "command_execution" | "fileChange" | "file_change" => agent,
        "userMessage" | "hookPrompt" | "agentMessage" | "agent_message" | "plan" | "todo_list"
        | "reasoning" | "functionCallOutput" | "dynamicToolCall" | "webSearch" | "web_search"
        | "imageView" | "sleep" | "contextCompaction" | "error" => false,
        // Tools of servers that the settings name, and whatever a later Codex can do.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_count_for_agents_and_foreign_tools_for_all() {
        for (item, of_agent, of_others) in [
            ("commandExecution", true, false),
            ("file_change", true, false),
            ("mcpToolCall", true, true),
            ("mcp_tool_call", true, true),
            ("agentMessage", false, false),
            ("dynamicToolCall", false, false),
        ] {
            assert_eq!(changes_something(item, true), of_agent, "{item}");
            assert_eq!(changes_something(item, false), of_others, "{item}");
        }
    }
}
