//! Addresses: what is put into them and what is read out of them.

use std::fmt::Write as _;

/// `a=1&b=2`, every name and value percent-encoded.
pub(crate) fn query(fields: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (name, value) in fields {
        if !query.is_empty() {
            query.push('&');
        }
        encode(&mut query, name);
        query.push('=');
        encode(&mut query, value);
    }
    query
}

fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            // Writing to a string does not fail.
            return;
        }
    }
}

/// The value of a field of a query. `None` when it is missing or not UTF-8.
pub(crate) fn field(query: &str, name: &str) -> Option<String> {
    let pairs = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut found = pairs.filter(|(key, _)| decode(key).as_deref() == Some(name));
    decode(found.next()?.1)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_and_read_back() {
        let fields = [("scope", "openid a.b"), ("ü&=", "x/y?z=+%"), ("empty", "")];
        let query = query(&fields);
        assert_eq!(
            query,
            "scope=openid%20a.b&%C3%BC%26%3D=x%2Fy%3Fz%3D%2B%25&empty="
        );
        for (name, value) in fields {
            assert_eq!(field(&query, name).as_deref(), Some(value));
        }
    }

    #[test]
    fn what_is_no_field_is_none() {
        assert_eq!(field("a=1&b=2", "c"), None);
        assert_eq!(field("", "a"), None);
        for broken in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(field(broken, "a"), None, "{broken}");
        }
        assert_eq!(field("a=1+2&a=3", "a").as_deref(), Some("1 2"));
        assert_eq!(field("a", "a").as_deref(), Some(""));
    }
}
