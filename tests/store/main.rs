//! What a store of sessions promises, held against each store there is; and what becomes of it when
//! what is behind the store fails.

#[cfg(test)]
mod conformance; // the promises, for any store
#[cfg(test)]
mod redis_house; // the promises, kept by Redis
#[cfg(test)]
mod server; // real servers on ports that the kernel chose
