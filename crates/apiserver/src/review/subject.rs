//! Who is this? `TokenReview` and `SelfSubjectReview`.

use object::{Status, time};
use serde_json::{Value, json};

use super::{Reviewer, text, texts, user_info};

pub(super) fn token(cx: &Reviewer<'_>, mut body: Value) -> Result<Value, Status> {
    let token = text(&body["spec"], "token");
    if token.is_empty() {
        return Err(Status::bad_request(
            "token is required for TokenReview in authentication",
        ));
    }
    let audiences = texts(&body["spec"]["audiences"]);
    let audiences = (!audiences.is_empty()).then_some(audiences.as_slice());
    let status = match cx.tokens.authenticate(cx.world, token, audiences, cx.now) {
        Ok(found) => json!({
            "authenticated": true,
            "user": user_info(&found.user),
            "audiences": found.audiences,
        }),
        Err(error) => json!({"user": {}, "error": error.to_string()}),
    };
    body["status"] = status;
    Ok(body)
}

pub(super) fn own(cx: &Reviewer<'_>, mut body: Value) -> Result<Value, Status> {
    if let Some(body) = body.as_object_mut() {
        body.shift_remove("spec");
    }
    body["metadata"]["creationTimestamp"] = time::rfc3339(cx.now).into();
    body["status"] = json!({"userInfo": user_info(cx.user)});
    Ok(body)
}
