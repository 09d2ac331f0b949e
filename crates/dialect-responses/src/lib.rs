//! The OpenAI Responses protocol: requests in, streams out.
