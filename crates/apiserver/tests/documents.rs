//! Discovery and OpenAPI, held against `../shared/golden` beside the checkout; without
//! it each of these tests says so.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod documents {
    mod discovery;
    mod openapi;
    mod protobuf;
    mod recordings;
}
