//! The `kontiki` program.
mod args;
mod console;
mod exit;
mod progress;

fn main() {}
