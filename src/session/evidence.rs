//! What a request brought to say who is asking, opened and judged for authenticity, not yet for
//! what follows from it.

use std::sync::Arc;

use super::Session;
use super::lifetime::Freshness;

/// The result of resolving what a request presented. The gate decides on this alone.
#[derive(Debug, Clone)]
pub enum Evidence {
    /// Nothing was presented, or nothing was asked for.
    None,
    /// A live session.
    Session(Arc<Session>, Freshness),
    /// A live session that only the person can renew, by coming by the provider again. Until then it
    /// admits to what it always did.
    Unheard(Arc<Session>, Freshness),
    /// A session that nobody has vouched for for too long, while the provider does not answer. It is
    /// not over, and admits to nothing until the provider is heard of.
    Unconfirmed(Arc<Session>),
    /// A session that is authentic but over. It admits to nothing.
    Expired(Arc<Session>),
    /// Something was presented that does not open. It admits to nothing.
    Unusable,
    /// A ticket was presented whose session cannot be looked up: the store does not answer. It admits
    /// to nothing until the store is heard of.
    StoreDown,
}
