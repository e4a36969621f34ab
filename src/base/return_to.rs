//! A same-site place to go back to after a login or a logout.
