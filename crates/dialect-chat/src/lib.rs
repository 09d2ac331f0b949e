//! The OpenAI Chat Completions protocol: requests out, streams in.
