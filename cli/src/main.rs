//! The `kontiki` program.
fn main() {}
