//! kogge.
fn main() {}
