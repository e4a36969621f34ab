//! Floor 8: the embedded provider and the sample app.
