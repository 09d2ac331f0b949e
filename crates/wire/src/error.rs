//! Providers' errors, in every shape that they come in.

use std::num::NonZeroU32;
use std::time::Duration;

use polywire_conversation::{Fault, FaultClass, Retry};
use serde_json::Value;

use crate::moment;

/// The most characters of a provider's own words that reach the user.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// The most characters of a provider's answer that reach the log.
const DETAIL_CHARS_MAX: usize = 500;

/// The most bytes of an error body that are looked at. Real ones are far shorter; some servers echo the whole request.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Reads the answer to a request that failed as a whole.
///
/// `status` is the HTTP status and `retry_after` what the headers said about waiting. The class is decided from the body
/// first and the status second: many providers use one status for a short wait and for an empty purse.
pub fn read_error(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Fault {
    let body = &body[..body.len().min(BODY_BYTES_MAX)];
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let fault = if text.starts_with('<') {
        html_fault(status, text)
    } else if let Some(fault) = serde_json::from_str(text)
        .ok()
        .and_then(|value: Value| Told::read(&value))
    {
        fault.into_fault(Some(status))
    } else {
        plain_fault(status, text)
    };
    let fault = match (fault.retry, retry_after) {
        (Retry::After(_), Some(pause)) => fault.with_retry(Retry::After(Some(pause))),
        (Retry::After(_) | Retry::Never | Retry::Elsewhere, _) => fault,
    };
    if text.is_empty() {
        fault
    } else {
        fault.with_detail(clean(text, DETAIL_CHARS_MAX))
    }
}

/// Reads an error object that came inside a stream, or in place of a completion, with HTTP status 200.
///
/// `None` when `json` holds nothing that looks like an error.
pub fn read_embedded_error(json: &str) -> Option<Fault> {
    let value: Value = serde_json::from_str(json).ok()?;
    let told = Told::read(&value)?;
    Some(
        told.into_fault(None)
            .with_detail(clean(json, DETAIL_CHARS_MAX)),
    )
}

/// What arrived is a web page: the wrong URL, or something between us and the provider.
pub fn html_fault(status: u16, page: &str) -> Fault {
    let title = html_title(page).unwrap_or_else(|| "a page without a title".to_owned());
    let what = format!("a web page came instead of an answer (HTTP {status}): {title}");
    match status {
        403 => Fault::new(
            FaultClass::Server,
            format!(
                "{what}. Something in front of the provider refuses us; the key is not at fault"
            ),
        )
        .with_retry(Retry::Elsewhere)
        .with_status(status),
        200..400 => Fault::new(
            FaultClass::Protocol,
            format!("{what}. The base URL is probably wrong"),
        ),
        _ => Fault::new(class_of_status(status), what).with_status(status),
    }
}

fn plain_fault(status: u16, text: &str) -> Fault {
    let message = if text.is_empty() {
        format!("the provider answered HTTP {status} and said nothing")
    } else {
        clean(text, MESSAGE_CHARS_MAX)
    };
    let class =
        class_of_words(&message.to_lowercase(), Some(status)).unwrap_or(class_of_status(status));
    Fault::new(class, message).with_status(status)
}

/// What a provider told about a failure.
#[derive(Debug, Default)]
struct Told {
    message: String,
    /// Codes and types, most telling first.
    codes: Vec<String>,
    param: Option<String>,
    /// A status in the body: some providers answer HTTP 200 and put the status there.
    status: Option<u16>,
    pause: Option<Duration>,
    limit: Limit,
    /// From `base_resp`, whose numbers are unlike everybody else's.
    base_resp: bool,
}

impl Told {
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Array(elements) => elements.first().and_then(Self::read),
            Value::Object(_) => Self::read_object(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
    }

    fn read_object(outer: &Value) -> Option<Self> {
        if let Some(told) = Self::read_base_resp(outer) {
            return Some(told);
        }
        match outer.get("error") {
            Some(Value::String(message)) => {
                let mut told = Self::read_fields(outer);
                told.message.clone_from(message);
                Some(told)
            }
            Some(inner @ Value::Object(_)) => {
                let mut told = Self::read_fields(inner);
                told.status = told.status.or_else(|| status_in(outer));
                Some(told)
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => {
                let told = Self::read_fields(outer);
                (!told.message.is_empty()).then_some(told)
            }
        }
    }

    /// `MiniMax` reports failures with HTTP 200 and a status object.
    fn read_base_resp(outer: &Value) -> Option<Self> {
        let status = outer.get("base_resp")?;
        let code = status
            .get("status_code")?
            .as_i64()
            .filter(|&code| code != 0)?;
        Some(Self {
            message: words(status.get("status_msg")).unwrap_or_default(),
            codes: vec![code.to_string()],
            base_resp: true,
            ..Self::default()
        })
    }

    fn read_fields(object: &Value) -> Self {
        let message = ["message", "msg", "detail", "title"]
            .iter()
            .find_map(|key| words(object.get(key)));
        let mut message = message.unwrap_or_default();
        if let Some(raw) = words(object.pointer("/metadata/raw")) {
            message = format!("{message}: {raw}");
        }
        let reason = object.pointer("/details/0/reason");
        let codes = [
            object.get("code"),
            object.get("type"),
            object.get("status"),
            reason,
        ];
        Self {
            pause: retry_delay(object).or_else(|| pause_in_words(&message)),
            codes: codes.into_iter().flatten().filter_map(code).collect(),
            param: object
                .get("param")
                .and_then(Value::as_str)
                .map(str::to_owned),
            status: status_in(object),
            limit: Limit::read(object),
            base_resp: false,
            message,
        }
    }

    fn into_fault(self, http_status: Option<u16>) -> Fault {
        let lower = self.message.to_lowercase();
        let told_status = http_status.filter(|&status| status >= 400).or(self.status);
        let class = self
            .codes
            .iter()
            .find_map(|code| {
                if self.base_resp {
                    class_of_base_resp(code)
                } else {
                    class_of_code(code)
                }
            })
            .or_else(|| class_of_words(&lower, told_status))
            .or_else(|| told_status.map(class_of_status))
            .or_else(|| self.codes.iter().find_map(|code| class_of_vague_code(code)))
            .unwrap_or(FaultClass::Server);
        let mut message = clean(&self.message, MESSAGE_CHARS_MAX);
        if message.is_empty() {
            message = match self.codes.first() {
                Some(code) => format!("the provider reported `{}`", clean(code, 100)),
                None => "the provider reported a failure and did not say which".to_owned(),
            };
        }
        if lower.contains("\"auto\" tool choice requires") {
            message.push_str(
                "\nhint: start the server with `--enable-auto-tool-choice` and `--tool-call-parser`",
            );
        }
        if class == FaultClass::Quota {
            message.push_str(&self.limit.in_words());
        }
        let mut fault = Fault::new(class, message);
        if class == FaultClass::Quota {
            fault.resets_at = self.limit.resets_at;
            if let (None, Some(wait)) = (self.limit.resets_at, self.limit.resets_in) {
                fault.retry = Retry::After(Some(wait));
            }
        }
        if let Some(status) = told_status {
            fault.status = status;
        }
        if let (Retry::After(None), Some(pause)) = (fault.retry, self.pause) {
            fault.retry = Retry::After(Some(pause));
        }
        fault.code = self.codes.first().map(|code| clean(code, 100));
        fault.param = self.param.map(|param| clean(&param, 200));
        fault
    }
}

/// What is told of the limit of a plan (`usage_limit_reached` of the service behind Codex, seed-behaviours.md D4).
#[derive(Debug, Default)]
struct Limit {
    plan: Option<String>,
    /// In seconds since 1970.
    resets_at: Option<NonZeroU32>,
    resets_in: Option<Duration>,
}

/// No window of a plan is longer than a month.
const RESET_SECONDS_MAX: u64 = 31 * 86_400;

impl Limit {
    fn read(object: &Value) -> Self {
        let number = |key: &str| object.get(key)?.as_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the numbers are checked to be in range, and fractions of seconds mean nothing here"
        )]
        let whole = |number: f64, max: u64| {
            let seconds = number as u64;
            (number >= 0.0 && seconds <= max).then_some(seconds)
        };
        let resets_in = number("resets_in_seconds").and_then(|it| whole(it, RESET_SECONDS_MAX));
        // What is later than the year 2106 is no moment but a mistake.
        let moment = number("resets_at").and_then(|it| whole(it, u64::from(u32::MAX)));
        let moment = moment.and_then(|moment| u32::try_from(moment).ok());
        Self {
            plan: words(object.get("plan_type")),
            resets_at: moment.and_then(NonZeroU32::new),
            resets_in: resets_in.map(Duration::from_secs),
        }
    }

    /// What is added to the message.
    fn in_words(&self) -> String {
        let plan = self
            .plan
            .as_ref()
            .map(|plan| format!("plan `{}`", clean(plan, 40)));
        let at = self.resets_at.map(|at| moment::moment(u64::from(at.get())));
        let span = self.resets_in.map(|span| moment::span(span.as_secs()));
        let reset = match (at, span) {
            (Some(at), Some(span)) => Some(format!("it is lifted at {at}, in {span}")),
            (Some(at), None) => Some(format!("it is lifted at {at}")),
            (None, Some(span)) => Some(format!("it is lifted in {span}")),
            (None, None) => None,
        };
        let told: Vec<String> = plan.into_iter().chain(reset).collect();
        if told.is_empty() {
            return String::new();
        }
        format!(" ({})", told.join("; "))
    }
}

/// Words for the user: a string, the first of `FastAPI`'s list of complaints, or a message inside an object.
fn words(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(complaints) => {
            let complaint = complaints.first()?;
            let said = words(complaint.get("msg"))?;
            let place: Vec<String> = complaint
                .get("loc")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(code)
                .collect();
            Some(if place.is_empty() {
                said
            } else {
                format!("{}: {said}", place.join("."))
            })
        }
        Value::Object(_) => words(value?.get("message")).or_else(|| words(value?.get("detail"))),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn code(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

fn status_in(object: &Value) -> Option<u16> {
    ["status", "status_code", "raw_status_code", "code"]
        .iter()
        .filter_map(|key| object.get(key)?.as_u64())
        .find_map(|number| {
            u16::try_from(number)
                .ok()
                .filter(|number| (400..600).contains(number))
        })
}

/// Google's `RetryInfo`: `"34.4s"`.
fn retry_delay(error: &Value) -> Option<Duration> {
    let details = error.get("details")?.as_array()?;
    let delay = details
        .iter()
        .find_map(|detail| detail.get("retryDelay")?.as_str())?;
    seconds(delay.strip_suffix('s')?)
}

/// "Please try again in 6.375s", as OpenAI and Groq say it; also with `ms` and with minutes in front.
fn pause_in_words(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("try again in ")?;
    let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '.');
    let pause = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
    if let Some(milliseconds) = pause.strip_suffix("ms") {
        return seconds(milliseconds).map(|pause| pause / 1_000);
    }
    let pause = pause.strip_suffix('s')?;
    match pause.split_once('m') {
        Some((minutes, rest)) => Some(seconds(minutes)? * 60 + seconds(rest)?),
        None => seconds(pause),
    }
}

/// The longest pause that is believed: a day. More would only overflow somewhere.
const PAUSE_SECONDS_MAX: f64 = 86_400.0;

fn seconds(digits: &str) -> Option<Duration> {
    let seconds: f64 = digits.parse().ok()?;
    (0.0..=PAUSE_SECONDS_MAX)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
}

/// Codes and types that mean the same wherever they are used. Numbers are Z.ai's.
fn class_of_code(code: &str) -> Option<FaultClass> {
    Some(match code {
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "rate_limit_reached_error"
        | "RateLimitReached"
        | "RESOURCE_EXHAUSTED"
        | "1302"
        | "1303" => FaultClass::RateLimit,
        "overloaded_error"
        | "overloaded"
        | "engine_overloaded_error"
        | "queue_exceeded"
        | "server_is_overloaded"
        | "slow_down"
        | "insufficient_system_resource"
        | "1305" => FaultClass::Overloaded,
        "insufficient_quota"
        | "exceeded_current_quota_error"
        | "billing_error"
        | "usage_limit_reached"
        | "usage_not_included"
        | "GoUsageLimitError"
        | "FreeUsageLimitError"
        | "1113"
        | "1308"
        | "1309"
        | "1310"
        | "1313"
        | "1314" => FaultClass::Quota,
        "context_length_exceeded"
        | "exceed_context_size_error"
        | "model_context_window_exceeded"
        | "1261" => FaultClass::ContextLength,
        "request_too_large" => FaultClass::TooLarge,
        "authentication_error"
        | "invalid_api_key"
        | "permission_error"
        | "API_KEY_INVALID"
        | "UNAUTHENTICATED"
        | "token_expired"
        | "token_invalidated"
        | "account_deactivated"
        | "PERMISSION_DENIED" => FaultClass::Auth,
        "not_found_error"
        | "model_not_found"
        | "model_decommissioned"
        | "model_archived"
        | "NotFoundError"
        | "1211"
        | "1214"
        | "1311" => FaultClass::NotFound,
        "cyber_policy" | "bio_policy" | "content_filter" | "data_inspection_failed" | "1301" => {
            FaultClass::ContentFilter
        }
        "tool_use_failed" | "MALFORMED_FUNCTION_CALL" => FaultClass::BadToolCall,
        _ => return None,
    })
}

/// `MiniMax`'s own numbers.
fn class_of_base_resp(code: &str) -> Option<FaultClass> {
    Some(match code {
        "1002" => FaultClass::RateLimit,
        "1004" => FaultClass::Auth,
        "1008" => FaultClass::Quota,
        "2013" => FaultClass::InvalidRequest,
        _ => return None,
    })
}

/// Types that say little; asked only when there is no status that says more.
fn class_of_vague_code(code: &str) -> Option<FaultClass> {
    match code {
        "invalid_request_error" | "INVALID_ARGUMENT" | "BadRequestError" => {
            Some(FaultClass::InvalidRequest)
        }
        _ => None,
    }
}

/// How providers say that a conversation is too long (providers' messages as collected in autumn 2026), in lower case.
const CONTEXT_WORDS: [&str; 21] = [
    "maximum context length",
    "context_length_exceeded",
    "exceeds the context window",
    "prompt is too long",
    "input is too long",
    "input token count",
    "exceeds the maximum number of tokens",
    "maximum prompt length is",
    "reduce the length of the messages",
    "longer than the model's context length",
    "exceeds the available context size",
    "greater than the context length",
    "exceeds the limit of",
    "context window exceeds limit",
    "exceeded model token limit",
    "too large for model with",
    "range of input length should be",
    "prompt too long; exceeded max context length",
    "exceeded max context length",
    "prompt exceeds max length",
    "tokens in request more than max tokens allowed",
];

fn class_of_words(message: &str, status: Option<u16>) -> Option<FaultClass> {
    let says = |words: &&str| message.contains(*words);
    // Rate limits speak of tokens too, but per minute.
    let rate = status == Some(429) || ["per minute", "per min", "(tpm)"].iter().any(says);
    if !rate && CONTEXT_WORDS.iter().any(says) {
        return Some(FaultClass::ContextLength);
    }
    // The plan does not have it (seed-behaviours.md D2.9); another target may.
    if message.contains("model is not supported") {
        return Some(FaultClass::NotFound);
    }
    // A model that is overrun, in whatever status (seed-behaviours.md D4).
    if message.contains("selected model is at capacity") {
        return Some(FaultClass::Overloaded);
    }
    // xAI and Google answer 400 to a bad key.
    if ["api key not valid", "incorrect api key", "invalid api key"]
        .iter()
        .any(says)
    {
        return Some(FaultClass::Auth);
    }
    None
}

fn class_of_status(status: u16) -> FaultClass {
    match status {
        401 | 403 => FaultClass::Auth,
        402 => FaultClass::Quota,
        404 | 410 => FaultClass::NotFound,
        408 => FaultClass::Timeout,
        413 => FaultClass::TooLarge,
        429 => FaultClass::RateLimit,
        400..500 => FaultClass::InvalidRequest,
        503 | 529 => FaultClass::Overloaded,
        500.. => FaultClass::Server,
        _ => FaultClass::Protocol,
    }
}

/// The title of a web page, without what it holds besides.
fn html_title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let opened = lower.find("<title")?;
    let start = opened + lower[opened..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let words: Vec<&str> = page[start..end].split_whitespace().collect();
    let title = clean(&words.join(" "), 200);
    (!title.is_empty()).then_some(title)
}

/// Words of a provider, safe for a terminal and of bearable length: control characters become spaces.
pub fn clean(text: &str, chars_max: usize) -> String {
    let mut cleaned: String = text
        .chars()
        .take(chars_max)
        .map(|letter| {
            if letter.is_control() && letter != '\n' {
                ' '
            } else {
                letter
            }
        })
        .collect();
    if text.chars().nth(chars_max).is_some() {
        cleaned.push('…');
    }
    cleaned
}
