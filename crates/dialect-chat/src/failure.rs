//! What failed, in the words of the Chat Completions protocol.

use polywire_conversation::Fault;
use polywire_wire::openai_error::{self, Words};

/// The body of an error answer: `{"error":{"message","type","param","code"}}`, with all four keys, null where nothing is known.
///
/// The same body is the last event of a stream that fails on the way.
pub fn render_error(fault: &Fault) -> Vec<u8> {
    let mut body = Vec::with_capacity(160);
    write_error_body(fault, &mut body);
    body
}

/// Appends the body of an error answer.
pub(crate) fn write_error_body(fault: &Fault, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"error\":");
    openai_error::write_error(fault, words(fault), out);
    out.push(b'}');
}

/// The HTTP status of an error answer.
///
/// A rejected key of ours is a 502: the caller's own login is fine, and a 401 would make clients ask for it again.
pub fn http_status(fault: &Fault) -> u16 {
    openai_error::http_status(fault)
}

fn words(fault: &Fault) -> Words<'_> {
    Words::of(fault, "overloaded")
}

#[cfg(test)]
mod tests {
    use super::*;
    use polywire_conversation::{FaultClass, Origin};

    #[test]
    fn table_of_failures() {
        let rows = FaultClass::ALL.map(|class| {
            let fault = Fault::new(class, "m");
            let Words { kind, code } = words(&fault);
            let code = code.unwrap_or("null");
            let status = http_status(&fault);
            format!("{:16} {status} {kind} / {code}", class.name())
        });
        insta::assert_snapshot!(rows.join("\n"));
    }

    #[test]
    fn error_bodies_have_all_four_keys() {
        let fault = Fault::invalid("messages[0]", "say \"hi\"\n").with_code("c");
        let body = String::from_utf8(render_error(&fault)).unwrap();
        assert_eq!(
            body,
            r#"{"error":{"message":"say \"hi\"\n","type":"invalid_request_error","param":"messages[0]","code":"c"}}"#
        );
        let body = String::from_utf8(render_error(&Fault::new(FaultClass::Server, "x"))).unwrap();
        assert_eq!(
            body,
            r#"{"error":{"message":"x","type":"server_error","param":null,"code":null}}"#
        );
    }

    #[test]
    fn statuses_that_depend_on_more_than_the_class() {
        let of = |class, status, origin| {
            let mut fault = Fault::new(class, "x").with_status(status);
            fault.origin = origin;
            http_status(&fault)
        };
        assert_eq!(of(FaultClass::Auth, 401, Origin::Credentials), 502);
        assert_eq!(of(FaultClass::Auth, 401, Origin::Client), 401);
        assert_eq!(of(FaultClass::Auth, 403, Origin::Client), 403);
        assert_eq!(of(FaultClass::Quota, 402, Origin::Credentials), 402);
        assert_eq!(of(FaultClass::Server, 500, Origin::Ours), 500);
        assert_eq!(of(FaultClass::Server, 500, Origin::Provider), 502);
    }
}
