//! The text of a TOML file, and its edits.

use toml::{Table, Value};

use super::error::{EditError, TomlError};
use super::insert::{dotted, insert};
use super::layout::Layout;
use super::lines::{Splice, top};
use super::masked::masked;
use super::meaning::{self, same_value};
use super::remove::{remove_bare_header, remove_next};

/// What a file may begin with to say that it is UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A TOML file whose values can be changed, added and taken out one by one, while every other byte stays as it is: byte order mark, line
/// ends, comments, the order and the spelling of everything, a missing line end at the end.
///
/// A path names a value by the keys that lead to it from the root, through tables of any spelling: headers, dotted keys, inline tables.
/// What is in an array, or in an array of tables, has no path.
///
/// ```
/// use polywire_client_files::TomlText;
///
/// let mut text = TomlText::parse(b"# mine\r\nmodel = 'a' # best\r\n")?;
/// text.set(&["model"], "b")?;
/// text.set(&["tools", "web search"], true)?;
/// assert_eq!(
///     text.to_bytes(),
///     b"# mine\r\nmodel = \"b\" # best\r\n\r\n[tools]\r\n\"web search\" = true\r\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TomlText {
    has_mark: bool,
    text: String,
    layout: Layout,
    root: Table,
}

impl TomlText {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not UTF-8, or not TOML. The error tells the line and the column.
    pub fn parse(bytes: &[u8]) -> Result<Self, TomlError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| TomlError::at(bytes, error.valid_up_to(), "this is not UTF-8"))?;
        let unmarked = text.strip_prefix(BYTE_ORDER_MARK);
        let text = unmarked.unwrap_or(text);
        // The parser would pass over one, here as in any text that is made of this.
        if text.starts_with(BYTE_ORDER_MARK) {
            return Err(TomlError::at(bytes, 0, "a second byte order mark"));
        }
        let root = text.parse::<Table>().map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            TomlError::at(text.as_bytes(), offset, error.message())
        })?;
        Ok(Self {
            has_mark: unmarked.is_some(),
            layout: Layout::of(text),
            text: text.to_owned(),
            root,
        })
    }

    /// The file as it is now.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mark = if self.has_mark { BYTE_ORDER_MARK } else { "" };
        [mark, &self.text].concat().into_bytes()
    }

    /// What the file says.
    pub fn root(&self) -> &Table {
        &self.root
    }

    /// The value or table at a path.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        meaning::get(&self.root, path)
    }

    /// The value at a path as it is written. `None` for tables that have headers or dotted keys: they have no text of their own.
    pub fn raw(&self, path: &[&str]) -> Option<&str> {
        let entry = self.layout.entry(path)?;
        Some(&self.text[entry.value.clone()])
    }

    /// The line, counted from 1, in which the value at a path begins. `None` for tables that have headers or dotted keys.
    pub fn line(&self, path: &[&str]) -> Option<usize> {
        let entry = self.layout.entry(path)?;
        Some(self.text[..entry.value.start].split('\n').count())
    }

    /// The text for the eyes of others, line by line the same: every string is hidden but those in the values at these paths, and so is what looks
    /// like a setting in a remark. A byte order mark is left out.
    pub fn masked(&self, shown: &[&[String]]) -> String {
        masked(&self.text, &self.layout, shown)
    }

    /// Sets the value at a path: in the place of the one that is there, else behind its neighbours, else below a new header at the end of
    /// the file. Tables are written inline; one with a header that says the same already stays as it is.
    ///
    /// # Errors
    /// Another table with a header is at this path, or something that is not a table is on the way to it. The text is unchanged then.
    pub fn set(&mut self, path: &[&str], value: impl Into<Value>) -> Result<(), EditError> {
        self.set_raw(path, &value.into().to_string())
    }

    /// The same with the value as it is to be written.
    ///
    /// # Errors
    /// As with [`Self::set`], or this is not a value.
    pub fn set_raw(&mut self, path: &[&str], raw: &str) -> Result<(), EditError> {
        if path.is_empty() {
            return Err(EditError::NoKey);
        }
        let value = parsed(raw).ok_or_else(|| EditError::NotAValue { path: dotted(path) })?;
        let splice = match self.layout.entry(path) {
            Some(entry) => Splice {
                range: entry.value.clone(),
                text: raw.to_owned(),
            },
            None if self.get(path).is_some_and(|now| same_value(now, &value)) => return Ok(()),
            None if self.get(path).is_some() => {
                return Err(EditError::IsTable { path: dotted(path) });
            }
            None => insert(&self.text, &self.layout, path, raw)?,
        };
        let expected = meaning::with(self.root.clone(), path, value);
        let expected = expected.ok_or_else(|| EditError::NotATable { path: dotted(path) })?;
        let after = Self::unmarked(splice.apply(&self.text));
        match after {
            Some(after) if meaning::same(&after.root, &expected) => {
                self.take(after);
                Ok(())
            }
            Some(_) | None => Err(EditError::WouldChangeMore { path: dotted(path) }),
        }
    }

    /// Takes out what is at a path: a value with its line, or a table with all that belongs to it. Comments stay but for those inside of
    /// the table. Tells whether there was anything.
    ///
    /// # Errors
    /// It cannot be taken out without changing something else. The text is unchanged then.
    pub fn remove(&mut self, path: &[&str]) -> Result<bool, EditError> {
        self.remove_with(path, true)
    }

    fn remove_with(&mut self, path: &[&str], blank_is_ours: bool) -> Result<bool, EditError> {
        if path.is_empty() {
            return Err(EditError::NoKey);
        }
        if self.get(path).is_none() {
            return Ok(false);
        }
        let (mut text, mut layout) = (self.text.clone(), self.layout.clone());
        while let Some(splice) = remove_next(&text, &layout, path, blank_is_ours) {
            text = splice.apply(&text);
            layout = Layout::of(&text);
        }
        self.accept_removal(text, path)?;
        Ok(true)
    }

    /// Makes a path as it is in an earlier form of the file, and headers on the way to it that the earlier form does not have go when nothing
    /// stands below them any more. Edits that are put back, the last one first, leave the earlier text
    /// to the byte.
    ///
    /// # Errors
    /// As with [`Self::set`] and [`Self::remove`].
    pub fn put_back(&mut self, path: &[&str], earlier: &Self) -> Result<(), EditError> {
        if let Some(raw) = earlier.raw(path) {
            return self.put_back_raw(path, raw);
        }
        if let (Some(now), Some(old)) = (self.get(path), earlier.get(path))
            && same_value(now, old)
        {
            return Ok(());
        }
        // Behind a file that says nothing but remarks none was written: see `insert`.
        let blank_is_ours = earlier.text.is_empty() || top(&earlier.text) < earlier.text.len();
        self.remove_with(path, blank_is_ours)?;
        for length in (1..path.len()).rev() {
            let table = &path[..length];
            if !earlier.layout.has_header(table) {
                self.remove_bare_header(table)?;
            }
        }
        Ok(())
    }

    fn put_back_raw(&mut self, path: &[&str], raw: &str) -> Result<(), EditError> {
        let mut text = self.clone();
        let mut set = text.set_raw(path, raw);
        if matches!(set, Err(EditError::IsTable { .. })) {
            // Somebody has written it with a header meanwhile.
            text.remove(path)?;
            set = text.set_raw(path, raw);
        }
        set.map(|()| *self = text)
    }

    /// Takes out the header of a table when nothing stands below it.
    fn remove_bare_header(&mut self, table: &[&str]) -> Result<(), EditError> {
        let Some(splice) = remove_bare_header(&self.text, &self.layout, table) else {
            return Ok(());
        };
        let is_empty = |value: &Value| value.as_table().is_some_and(Table::is_empty);
        let text = splice.apply(&self.text);
        if self.get(table).is_some_and(is_empty) {
            return self.accept_removal(text, table);
        }
        // Tables below it make it one by themselves.
        match Self::unmarked(text) {
            Some(after) if meaning::same(&after.root, &self.root) => {
                self.take(after);
                Ok(())
            }
            Some(_) | None => Err(EditError::WouldChangeMore {
                path: dotted(table),
            }),
        }
    }

    fn accept_removal(&mut self, text: String, path: &[&str]) -> Result<(), EditError> {
        let expected = meaning::without(self.root.clone(), path);
        let after = Self::unmarked(text).filter(|after| {
            // Tables on the way that hold nothing any more may be there or not.
            let left = meaning::without(after.root.clone(), path);
            after.get(path).is_none() && meaning::same(&left, &expected)
        });
        match after {
            Some(after) => {
                self.take(after);
                Ok(())
            }
            None => Err(EditError::WouldChangeMore { path: dotted(path) }),
        }
    }

    fn unmarked(text: String) -> Option<Self> {
        Some(Self {
            has_mark: false,
            root: text.parse().ok()?,
            layout: Layout::of(&text),
            text,
        })
    }

    fn take(&mut self, after: Self) {
        *self = Self {
            has_mark: self.has_mark,
            ..after
        };
    }
}

/// What a raw value says; `None` when it is not one value and nothing else.
pub(crate) fn parsed(raw: &str) -> Option<Value> {
    let mut table: Table = format!("value = {raw}").parse().ok()?;
    (table.len() == 1).then(|| table.remove("value"))?
}
