//! Floor 6: listeners, workers and connections; it does not know that this is an auth proxy.
