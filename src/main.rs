//! The `vivavoce` command.
fn main() {}
