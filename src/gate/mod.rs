//! Floor 3: the decision. Pure.
