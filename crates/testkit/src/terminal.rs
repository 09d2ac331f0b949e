//! A program with a screen: a pseudo terminal, and as much of a terminal's answers as a program waits for.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, tcgetattr};
use tokio::process::{Child, Command};

use crate::process::Group;
use crate::wait::{Changes, DEADLINE, within};

/// A program that runs on a pseudo terminal of its own. Dropping this kills its process group.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    group: Group,
    keyboard: File,
    screen: Arc<Screen>,
}

#[derive(Debug)]
struct Screen {
    bytes: Mutex<Vec<u8>>,
    changes: Changes,
}

const SIZE: Winsize = Winsize {
    ws_row: 40,
    ws_col: 120,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// How often the modes of a terminal are looked at; nobody tells when they change.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Questions that programs ask a terminal at their start and wait for, with the answers of a plain xterm.
const ANSWERS: [(&[u8], &[u8]); 4] = [
    // Where is the cursor? (ECMA-48, DSR 6)
    (b"\x1b[6n", b"\x1b[1;1R"),
    // What are you? (DA1)
    (b"\x1b[c", b"\x1b[?1;2c"),
    // Which colours do you draw with and on? (xterm, OSC 10 and 11)
    (b"\x1b]10;?", b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\"),
    (b"\x1b]11;?", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
];

/// The longest of those questions less one byte.
const QUESTION_BYTES_MAX: usize = 5;

impl Terminal {
    /// Starts a program on a new pseudo terminal.
    pub fn start(mut command: Command) -> Self {
        let pair = openpty(&SIZE, None).expect("a pseudo terminal");
        // Copies are closed in programs that are started, and the originals here: whoever inherits the terminal's own end keeps it
        // open when this is dropped.
        let copy = |fd: &OwnedFd| fd.try_clone().expect("a copy of a file descriptor");
        let [output, answers, keyboard] = [(); 3].map(|()| File::from(copy(&pair.master)));
        let [stdin, stdout, stderr] = [(); 3].map(|()| Stdio::from(copy(&pair.slave)));
        drop(pair);
        let child = command
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .expect("a program on a pseudo terminal");
        // The command holds copies of the program's end; only without them is the end of the output seen.
        drop(command);
        let screen = Arc::new(Screen {
            bytes: Mutex::default(),
            changes: Changes::new(),
        });
        let watcher = Arc::clone(&screen);
        // Ends by itself when the last program on the terminal has ended.
        std::thread::spawn(move || watcher.watch(output, answers));
        Self {
            group: Group::of(&child),
            child,
            keyboard,
            screen,
        }
    }

    /// Types these bytes.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard
            .write_all(keys.as_bytes())
            .expect("a terminal to type on");
    }

    /// Pastes a text and presses Enter.
    ///
    /// Pasted between the marks of bracketed paste, because text typed at this speed counts as a paste without marks for
    /// some programs, and Enter as a part of it.
    pub fn submit(&mut self, text: &str) {
        self.type_keys(&format!("\x1b[200~{text}\x1b[201~"));
        self.type_keys("\r");
    }

    /// Waits until what is typed does not show on the screen: until a program that asks for a secret is ready for it.
    pub async fn hides_input(&self) {
        within("a terminal without echo", async {
            loop {
                let modes = tcgetattr(&self.keyboard).expect("the modes of a terminal");
                if !modes.local_flags.contains(LocalFlags::ECHO) {
                    return;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        })
        .await;
    }

    /// Waits until `needle` was written to the screen, colours and movements left aside.
    pub async fn shows(&self, needle: &str) {
        self.shows_times(needle, 1).await;
    }

    /// Waits until `needle` was written to the screen that often.
    pub async fn shows_times(&self, needle: &str, times: usize) {
        let shown = || (self.text().matches(needle).count() >= times).then_some(());
        let look = self.screen.changes.until(needle, shown);
        // Before the general limit, to tell what is there instead.
        let shown = tokio::time::timeout(DEADLINE / 2, look).await.is_ok();
        assert!(shown, "`{needle}` is not on the screen: {}", self.text());
    }

    /// All that was written to the screen, without control sequences and white space runs.
    pub fn text(&self) -> String {
        let bytes = self
            .screen
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        plain(&bytes)
    }

    /// All that was written to the screen, as it was written.
    pub fn bytes(&self) -> String {
        let bytes = self.screen.bytes.lock();
        let bytes = bytes.unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether the terminal shows what is typed and takes it by lines, as it does before a program changes that.
    pub fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.keyboard).expect("the modes of a terminal");
        let wanted = LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG;
        modes.local_flags.contains(wanted)
    }

    /// Waits for the program's end and gives its exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        within("the program on the terminal to end", self.child.wait())
            .await
            .expect("the status of a child")
            .code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.group.signal(Signal::SIGKILL);
        }
    }
}

impl Screen {
    fn watch(&self, mut output: File, mut answers: File) {
        let mut buffer = [0; 8192];
        // What may be the beginning of a question whose rest comes with the next read.
        let mut unread = Vec::new();
        // The read fails with EIO when no program has the terminal open any more.
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            let piece = &buffer[..length];
            unread.extend_from_slice(piece);
            for (question, answer) in ANSWERS {
                while let Some(at) = position(&unread, question) {
                    unread.drain(..at + question.len());
                    answers.write_all(answer).ok();
                }
            }
            unread.drain(..unread.len().saturating_sub(QUESTION_BYTES_MAX));
            self.bytes
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(piece);
            self.changes.notify();
        }
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

/// Drops control sequences (ECMA-48 CSI, OSC, and two-byte ones). A movement counts as a blank, because programs skip over
/// blanks that are on the screen already.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character != '\x1b' {
            plain.push(if character.is_control() {
                ' '
            } else {
                character
            });
            continue;
        }
        match rest.next() {
            Some('[') => {
                let end = rest.find(|c| ('\x40'..='\x7e').contains(c));
                if end != Some('m') {
                    plain.push(' ');
                }
            }
            Some(']') => while rest.next_if(|c| !['\x07', '\x1b'].contains(c)).is_some() {},
            // A character set, for example: intermediate bytes, then one final byte.
            Some(' '..='/') => {
                rest.find(|c| !(' '..='/').contains(c));
            }
            Some(_) | None => {}
        }
    }
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn colours_vanish_and_movements_become_blanks() {
        let screen = b"\x1b[1mbold\x1b[0m\x1b[5;7Hthere\x1b]0;title\x07 \x1b(Bend\r\n";
        assert_eq!(plain(screen), "bold there end");
    }
}
