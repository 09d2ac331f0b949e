//! The form that an answer must have where its provider cannot enforce one.

use polywire_conversation::OutputFormat;

/// A form that was told to the model in words, and is checked here.
pub(crate) struct Form {
    schema: Option<jsonschema::Validator>,
    asked_again: bool,
}

/// What an answer is worth.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has the form.
    Fits(String),
    /// It has the form once the text around it is gone.
    Respelled(String),
    /// It has not; the model is to be told this.
    AskAgain(String),
    /// It has not, again.
    Misses(String),
}

/// The most characters of a complaint that the model is told.
const COMPLAINT_CHARS_MAX: usize = 600;

impl Form {
    /// The form that a request asks for, if it can be checked. A schema that is none checks nothing but that the answer is JSON.
    pub(crate) fn new(format: &OutputFormat<'_>) -> Option<Self> {
        let schema = match format {
            OutputFormat::Text => return None,
            OutputFormat::JsonObject => None,
            OutputFormat::JsonSchema { schema, .. } => serde_json::from_str(schema.as_str())
                .ok()
                .and_then(|schema| jsonschema::validator_for(&schema).ok()),
        };
        Some(Self {
            schema,
            asked_again: false,
        })
    }

    /// Judges a whole answer.
    pub(crate) fn judge(&mut self, text: String) -> Verdict {
        let Err(problem) = self.check(&text) else {
            return Verdict::Fits(text);
        };
        if let Some(inner) = json_inside(&text)
            && self.check(inner).is_ok()
        {
            return Verdict::Respelled(inner.to_owned());
        }
        if std::mem::replace(&mut self.asked_again, true) {
            return Verdict::Misses(text);
        }
        let problem: String = problem.chars().take(COMPLAINT_CHARS_MAX).collect();
        Verdict::AskAgain(format!(
            "Your last answer does not have the form that was asked for: {problem}. Answer again, with the JSON value and nothing else."
        ))
    }

    fn check(&self, text: &str) -> Result<(), String> {
        let value: serde_json::Value = serde_json::from_str(text.trim())
            .map_err(|error| format!("it is not JSON ({error})"))?;
        match &self.schema {
            Some(schema) => schema
                .validate(&value)
                .map_err(|error| format!("at `{}`: {error}", error.instance_path())),
            None if value.is_object() => Ok(()),
            None => Err("it is no JSON object".to_owned()),
        }
    }
}

/// The JSON of an answer that has a code fence or words around it.
fn json_inside(text: &str) -> Option<&str> {
    let start = text.find(['{', '['])?;
    let end = text.rfind(['}', ']'])?;
    (start < end).then(|| &text[start..=end])
}

#[cfg(test)]
mod tests {
    use polywire_conversation::Json;

    use super::*;

    fn form() -> Form {
        Form::new(&OutputFormat::JsonSchema {
            name: "n".into(),
            description: None,
            schema: Json::new(
                r#"{"type":"object","properties":{"title":{"type":"string"}},"required":["title"]}"#,
            ),
            strict: None,
        })
        .unwrap()
    }

    #[test]
    fn answers_are_judged() {
        let fits = r#"{"title":"x"}"#;
        assert_eq!(
            form().judge(fits.to_owned()),
            Verdict::Fits(fits.to_owned())
        );
        let fenced = format!("Here:\n```json\n{fits}\n```");
        assert_eq!(form().judge(fenced), Verdict::Respelled(fits.to_owned()));
        let mut form = form();
        let wrong = r#"{"title":1}"#.to_owned();
        let Verdict::AskAgain(complaint) = form.judge(wrong.clone()) else {
            panic!("it does not fit");
        };
        assert!(complaint.contains("/title"), "{complaint}");
        assert_eq!(form.judge(wrong.clone()), Verdict::Misses(wrong));
    }

    #[test]
    fn any_object_will_do_without_a_schema() {
        let mut form = Form::new(&OutputFormat::JsonObject).unwrap();
        assert_eq!(form.judge("{}".to_owned()), Verdict::Fits("{}".to_owned()));
        assert!(matches!(form.judge("[]".to_owned()), Verdict::AskAgain(_)));
        assert!(Form::new(&OutputFormat::Text).is_none());
    }
}
