//! Codex itself: `codex app-server` over its pipes, with no more between than JSON and lines.
//!
//! It is told what polywire tells it, method by method, so that the difference between the two is polywire's own.

use super::super::body::{Call, Conversation};
use super::super::clock::Clock;
use super::super::process;
use super::Home;
use super::exec::command;
use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// What is told to a model that has no instructions.
const INSTRUCTIONS: &str = "You are a helpful assistant.";

/// A running app-server; dropping it ends it.
pub(super) struct AppServer {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    line: String,
    next_id: u64,
    workspace: PathBuf,
    /// The request of Codex for the call that is to be answered, and its thread.
    asked: Option<(Value, String)>,
}

/// A conversation in the words of the app-server, written beforehand, so that this end costs little.
struct Asks {
    items: String,
    tools: String,
}

impl Asks {
    fn of(conversation: &Conversation) -> Self {
        Self {
            items: conversation.responses_items().to_string(),
            tools: conversation.dynamic_tools().to_string(),
        }
    }
}

impl AppServer {
    /// Starts it in a home that polywire has made.
    pub(super) async fn start(program: &Path, home: &Home) -> Result<Self> {
        let catalog = home.codex_home.join("models.json").display().to_string();
        let mut child = command(program, home)
            .arg("app-server")
            .args(["-c", &format!("model_catalog_json={}", json!(catalog))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start `codex app-server`")?;
        let stdin = child.stdin.take().context("no pipe")?;
        let stdout = child.stdout.take().context("no pipe")?;
        let mut server = Self {
            child,
            stdin,
            stdout: BufReader::with_capacity(64 << 10, stdout),
            line: String::new(),
            next_id: 0,
            workspace: home.workspace.clone(),
            asked: None,
        };
        let introduction = json!({
            "clientInfo": {"name": "load", "title": "load", "version": "1"},
            "capabilities": {"experimentalApi": true},
        });
        server.call("initialize", &introduction.to_string()).await?;
        server
            .send(r#"{"method":"initialized","params":{}}"#)
            .await?;
        Ok(server)
    }

    /// The process that was started.
    pub(super) fn id(&self) -> Result<u32> {
        self.child.id().context("`codex app-server` has ended")
    }

    /// The time that its processes have run.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let launcher = self.id()?;
        let own = process::cpu_time(&[launcher])?;
        Ok(own + process::cpu_time_of_descendants(launcher)?)
    }

    /// A whole turn in a thread of its own. Returns when it began, when `turn/start` was sent, and when the first delta came.
    pub(super) async fn turn(
        &mut self,
        conversation: &Conversation,
        clock: Clock,
    ) -> Result<(Duration, Duration, Duration)> {
        let asks = Asks::of(conversation);
        let begin = clock.now();
        let thread = self.thread(asks).await?;
        let started = clock.now();
        self.start_turn(&thread).await?;
        self.until("item/agentMessage/delta").await?;
        let first = clock.now();
        self.end(&thread).await?;
        Ok((begin, started, first))
    }

    /// Begins a turn and waits until Codex asks for the call of a tool.
    pub(super) async fn until_call(&mut self, conversation: &Conversation) -> Result<()> {
        let thread = self.thread(Asks::of(conversation)).await?;
        self.start_turn(&thread).await?;
        let asked = self.until("item/tool/call").await?;
        self.asked = Some((asked["id"].clone(), thread));
        Ok(())
    }

    /// Gives the result of the call, and returns how long the first delta took.
    pub(super) async fn answer(&mut self, call: &Call, clock: Clock) -> Result<Duration> {
        let (id, thread) = self.asked.take().context("no call to answer")?;
        let begin = clock.now();
        let items = [json!({"type": "inputText", "text": call.output})];
        let result = json!({"contentItems": items, "success": true});
        self.send(&json!({"id": id, "result": result}).to_string())
            .await?;
        self.until("item/agentMessage/delta").await?;
        let took = clock.since(begin);
        self.end(&thread).await?;
        Ok(took)
    }

    /// Starts a thread and puts the conversation into it.
    async fn thread(&mut self, asks: Asks) -> Result<String> {
        let workspace = self.workspace.display().to_string();
        let start = json!({
            "model": "load",
            "cwd": workspace,
            "sandbox": "read-only",
            "approvalPolicy": "never",
            "ephemeral": true,
            "baseInstructions": INSTRUCTIONS,
            "experimentalRawEvents": true,
            "config": {"projects": {workspace: {"trust_level": "untrusted"}}},
            "environments": [],
        });
        let start = with_member(&start, "dynamicTools", &asks.tools);
        let started = self.call("thread/start", &start).await?;
        let thread = started["thread"]["id"].as_str().context("no thread")?;
        let thread = thread.to_owned();
        let items = with_member(&json!({"threadId": thread}), "items", &asks.items);
        self.call("thread/inject_items", &items).await?;
        Ok(thread)
    }

    async fn start_turn(&mut self, thread: &str) -> Result<()> {
        let start = json!({"threadId": thread, "input": []}).to_string();
        // Its answer may come after the first delta, so nobody waits for it.
        self.request("turn/start", &start).await.map(drop)
    }

    async fn end(&mut self, thread: &str) -> Result<()> {
        self.until("turn/completed").await?;
        let leave = json!({"threadId": thread}).to_string();
        self.call("thread/unsubscribe", &leave).await.map(drop)
    }

    async fn request(&mut self, method: &str, params: &str) -> Result<u64> {
        self.next_id += 1;
        let id = self.next_id;
        let message = json!({"id": id, "method": method});
        self.send(&with_member(&message, "params", params)).await?;
        Ok(id)
    }

    async fn call(&mut self, method: &str, params: &str) -> Result<Value> {
        let id = self.request(method, params).await?;
        loop {
            self.next().await?;
            if method_of(&self.line).is_some() {
                continue;
            }
            let mut message: Value = serde_json::from_str(&self.line)?;
            if message["id"].as_u64() != Some(id) {
                continue;
            }
            if let Some(error) = message.get("error") {
                bail!("`{method}` was refused: {error}");
            }
            return Ok(message["result"].take());
        }
    }

    /// Reads on until a message of this method.
    async fn until(&mut self, method: &str) -> Result<Value> {
        loop {
            self.next().await?;
            match method_of(&self.line) {
                Some(said) if said == method => return Ok(serde_json::from_str(&self.line)?),
                Some("turn/completed") => {
                    bail!("the turn ended before `{method}`: {}", self.line)
                }
                Some(_) => {}
                None if self.line.starts_with("{\"error\"") => bail!("refused: {}", self.line),
                None => {}
            }
        }
    }

    async fn next(&mut self) -> Result<()> {
        self.line.clear();
        let count = self.stdout.read_line(&mut self.line).await?;
        if count == 0 {
            bail!("`codex app-server` closed its output");
        }
        Ok(())
    }

    async fn send(&mut self, message: &str) -> Result<()> {
        let line = format!("{message}\n");
        Ok(self.stdin.write_all(line.as_bytes()).await?)
    }
}

/// The method of a message, as Codex writes them: in the first place. Only what is looked for is read as JSON.
fn method_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("{\"method\":\"")?;
    Some(rest.split_once('"')?.0)
}

/// An object that has members, and one more whose value is written already.
fn with_member(object: &Value, name: &str, value: &str) -> String {
    let mut written = object.to_string();
    written.pop();
    format!("{written},\"{name}\":{value}}}")
}

impl Drop for AppServer {
    fn drop(&mut self) {
        // The launcher and the program itself: the group is theirs alone.
        let group = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group {
            // What cannot be ended is gone already.
            killpg(Pid::from_raw(group), Signal::SIGKILL).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_and_looked_at_without_reading_them() {
        let written = with_member(&json!({"id": 1}), "params", r#"{"a":[]}"#);
        assert_eq!(written, r#"{"id":1,"params":{"a":[]}}"#);
        assert_eq!(method_of(r#"{"method":"a/b","params":{}}"#), Some("a/b"));
        assert_eq!(method_of(r#"{"id":1,"result":{}}"#), None);
    }
}
