//! Floor 5: the conversation with the authorization server.
