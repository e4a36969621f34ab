//! Floor 7: the wiring: one request from facts to reply.
