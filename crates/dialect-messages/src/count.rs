//! `POST /v1/messages/count_tokens`.

use polywire_conversation::{Request, estimate};

/// How many input tokens a request is likely to have, for providers that cannot count. Never 0.
pub fn estimate(request: &Request<'_>) -> u64 {
    estimate::request_tokens(request)
}

/// The body of the answer. Clients divide by the number, so it is at least 1.
pub fn render_count(input_tokens: u64) -> Vec<u8> {
    format!("{{\"input_tokens\":{}}}", input_tokens.max(1)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_count;

    #[test]
    fn counts_grow_with_what_is_sent() {
        let count = |body: &str| estimate(&parse_count(body.as_bytes()).unwrap());
        let plain = count(r#"{"model":"m","messages":[{"role":"user","content":"Good morning"}]}"#);
        assert!(plain >= 3, "{plain}");
        let tools = count(
            r#"{"model":"m","messages":[{"role":"user","content":"Good morning"}],"tools":[{"name":"f","input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}]}"#,
        );
        assert!(tools > plain + 15, "{tools}");
        // One pixel, as a PNG of 68 bytes.
        let picture = count(
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="}}]}]}"#,
        );
        assert_eq!(picture, 5);
    }

    #[test]
    fn the_answer_is_never_zero() {
        assert_eq!(render_count(0), b"{\"input_tokens\":1}");
        assert_eq!(render_count(1_234), b"{\"input_tokens\":1234}");
    }
}
