//! The log as JSON: one object a line.

use std::fmt;

use polywire_gateway::JSON_FIELDS;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes events as `{"timestamp":…,"level":…,"logger":…,"message":…,` and their fields`}`.
///
/// The subscriber's own JSON can hold no objects within objects; a turn's line has some.
pub(crate) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = begin(metadata.level().as_str(), metadata.target());
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// A line that is no event: what is said to whoever started the program.
pub(crate) fn line(message: &str) -> String {
    let mut line = begin("INFO", env!("CARGO_CRATE_NAME"));
    line.insert("message".to_owned(), message.into());
    Value::Object(line).to_string()
}

fn begin(level: &str, logger: &str) -> Map<String, Value> {
    let mut now = String::new();
    let mut line = Map::new();
    // A clock that cannot be read is no reason to lose the line.
    if SystemTime.format_time(&mut Writer::new(&mut now)).is_ok() {
        line.insert("timestamp".to_owned(), now.into());
    }
    line.insert("level".to_owned(), level.into());
    line.insert("logger".to_owned(), logger.into());
    line
}

/// Takes the fields of an event in.
struct Fields<'l>(&'l mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        let json = JSON_FIELDS
            .contains(&field.name())
            .then(|| serde_json::from_str(&text).ok())
            .flatten();
        self.put(field, json.unwrap_or(Value::String(text)));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_an_object_with_its_fields() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLines)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                phases_ms = %r#"{"total":1.5}"#,
                usage = %"no JSON",
                model = "a\n\u{1b}[31m\"b\"",
                absent = None::<u64>,
                shown = ?["x"],
                yes = true,
                less = -1,
                "turn {}", 1
            );
            tracing::warn!("second");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0]["timestamp"].as_str().unwrap().ends_with('Z'));
        let mut first = lines[0].as_object().unwrap().clone();
        first.remove("timestamp");
        assert_eq!(
            Value::Object(first),
            serde_json::json!({
                "level": "INFO",
                "logger": module_path!(),
                "message": "turn 1",
                "phases_ms": {"total": 1.5},
                "usage": "no JSON",
                "model": "a\n\u{1b}[31m\"b\"",
                "shown": "[\"x\"]",
                "yes": true,
                "less": -1,
            })
        );
        assert_eq!(lines[1]["level"], "WARN");
    }

    #[test]
    fn what_is_said_is_an_object_too() {
        let said: Value = serde_json::from_str(&line("a \"b\"\nhint: c")).unwrap();
        assert_eq!(said["message"], "a \"b\"\nhint: c");
    }
}
