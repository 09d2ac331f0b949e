//! A stored response.

use crate::StoreError;

/// One turn as `previous_response_id` needs it: what the turn added, and which turn it went on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// The response's id, as the client got it.
    pub id: String,
    /// The response that this one goes on from.
    pub parent: Option<String>,
    /// When it was made, in seconds since 1970.
    pub created_unix_s: u64,
    /// The input items of this turn alone, as the text of a JSON array. What the parents say is not repeated.
    pub input_items: String,
    /// The output items, as the text of a JSON array.
    pub output_items: String,
    /// The whole response object as the client got it, as JSON text.
    pub response: String,
    /// The model name as the client wrote it.
    pub model: String,
}

/// What a record costs beside its texts: numbers, indexes and the page they stand on.
const RECORD_BYTES: usize = 128;

impl StoredResponse {
    /// What the record counts for in bytes.
    pub fn bytes(&self) -> u64 {
        let texts = [
            &self.id,
            &self.input_items,
            &self.output_items,
            &self.response,
            &self.model,
        ];
        let texts: usize = texts.iter().map(|text| text.len()).sum();
        let parent = self.parent.as_ref().map_or(0, String::len);
        u64::try_from(texts + parent + RECORD_BYTES).unwrap_or(u64::MAX)
    }

    /// Refuses what could not be used later.
    pub(crate) fn check(&self, bytes_max: u64) -> Result<(), StoreError> {
        let bytes = self.bytes();
        if bytes > bytes_max {
            return Err(StoreError::TooLarge {
                id: self.id.clone(),
                bytes,
                bytes_max,
            });
        }
        for (which, items) in [("input", &self.input_items), ("output", &self.output_items)] {
            if !is_array(items) {
                return Err(StoreError::NotAnArray {
                    id: self.id.clone(),
                    which,
                });
            }
        }
        Ok(())
    }
}

fn is_array(text: &str) -> bool {
    serde_json::from_str::<Vec<serde::de::IgnoredAny>>(text).is_ok()
}
