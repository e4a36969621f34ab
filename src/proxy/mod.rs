//! Floor 5: the one way to the upstream.
