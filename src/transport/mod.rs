//! Floor 4: sockets and TLS, without HTTP semantics of ours.
