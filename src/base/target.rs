//! The received request target and every reading a server might make of it.
