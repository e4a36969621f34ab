//! Sidegate, an authenticating reverse proxy: the process.

fn main() {}
