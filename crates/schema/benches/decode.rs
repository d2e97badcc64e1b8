//! How long decoding a pod takes.
fn main() {}
