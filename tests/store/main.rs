//! What a store of sessions promises, held against each store there is; and what becomes of it when
//! what is behind the store fails.

#[cfg(test)]
mod cluster; // Redis as a cluster: slots move, a master dies
#[cfg(test)]
mod conformance; // the promises, for any store
#[cfg(test)]
mod faults; // Redis and the way to it fail
#[cfg(test)]
mod kept; // what stands in Redis, and what is made of what should not
#[cfg(test)]
mod own_houses; // the promises, kept by the stores of one process
#[cfg(test)]
mod redis_house; // the promises, kept by Redis
#[cfg(test)]
mod relay; // a network that fails when it is told to
#[cfg(test)]
mod sentinel; // Redis with sentinels: the master dies
#[cfg(test)]
mod server; // real servers on ports that the kernel chose
#[cfg(test)]
mod tls; // a server that speaks TLS
