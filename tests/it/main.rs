//! The stories: the gate over real sockets, between a provider that can be told to misbehave and an
//! app that records what reaches it. One binary, one module a behaviour.
//!
//! `cfg(test)` holds for the whole binary anyway; written out, it tells clippy that the modules are
//! tests, where `unwrap` is in order.

#[cfg(test)]
mod app_addresses; // several addresses of an app: one that is out of order costs nobody an answer
#[cfg(test)]
mod app_answers; // whatever an app answers, nobody gets less than they are told, nor what is another's
#[cfg(test)]
mod app_http2; // an app that speaks HTTP/2: bodies, trailers, refusals, goodbyes
#[cfg(test)]
mod app_interleaved; // ten thousand requests of fifty people: nobody sees what is another's
#[cfg(test)]
mod app_tls; // an app behind TLS is believed only with a good certificate
#[cfg(test)]
mod askers; // people are sent to sign in, programs are told, and each in a form that they can read
#[cfg(test)]
mod backchannel; // sessions that the provider ends by a call
#[cfg(test)]
mod bad_tokens; // whatever is wrong with an ID token, nobody is let in
#[cfg(test)]
mod callback; // an answer of the provider works once, for one browser, in one form
#[cfg(test)]
mod canaries; // no secret is in any log, page or request
#[cfg(test)]
mod catalogue; // every error has its code, its page, its reference, and a log line that tells why
#[cfg(test)]
mod cli; // the binary itself: what it says and how it ends
#[cfg(test)]
mod conversation; // a provider that misbehaves: nothing comes of it but a page that says so
#[cfg(test)]
mod cookies; // nobody gains or loses a session by what stands in a Cookie field
#[cfg(test)]
mod cors; // scripts of other origins may do what a route says, and a preflight opens nothing
#[cfg(test)]
mod custom_pages; // templates, a style and a logo of the operator's own
#[cfg(test)]
mod demo_faults; // the provider that misbehaves does so
#[cfg(test)]
mod demo_provider; // the embedded provider keeps the rules of OAuth 2.0 and OpenID Connect
#[cfg(test)]
mod draining; // told to stop, the gate loses nothing that was begun
#[cfg(test)]
mod entrances; // what a listener answers by itself: a balancer's question, and the way to https
#[cfg(test)]
mod exposure; // an app that can be reached around the gate is said to be, or nothing runs
#[cfg(test)]
mod foreign_client; // a client that others wrote signs in at the embedded provider
#[cfg(test)]
mod foreign_providers; // the same story at providers that others wrote
#[cfg(test)]
mod forwarding; // messages as such: versions, interim and early answers, ways that break
#[cfg(test)]
mod fragments; // with `login.keep_fragment` a login leads back to the very fragment
#[cfg(test)]
mod framing; // where one message ends and the next begins is read in one way, or not at all
#[cfg(test)]
mod grpc; // gRPC end to end, with a client and an app that others wrote
#[cfg(test)]
mod guards; // whatever a request brings, the app gets what the gate says and nothing else
#[cfg(test)]
mod handing_over; // one process after another on the same sockets, and nobody notices
#[cfg(test)]
mod hsts; // browsers are told to come by https alone where the operator says so
#[cfg(test)]
mod http2; // what is asked over HTTP/2 is judged, passed and answered as over HTTP/1.1
#[cfg(test)]
mod http2_floods; // whoever sends what only costs is hung up on, and costs little
#[cfg(test)]
mod http2_heads; // heads, trailers and lengths that are none reach no app
#[cfg(test)]
mod http2_rules; // every rule of HTTP/2 that a peer can break, broken
#[cfg(test)]
mod http2_settings; // what both sides say of themselves, and hold to
#[cfg(test)]
mod identity; // who somebody is comes from issuer and subject, and rules believe only what was vouched for
#[cfg(test)]
mod key_rotation; // session keys change without anybody being signed out
#[cfg(test)]
mod languages; // people read their own language, programs read English
#[cfg(test)]
mod limits; // each number of `limits` does what it says
#[cfg(test)]
mod lingering; // an early answer is read before the connection is closed
#[cfg(test)]
mod log_lines; // each line of the log is one JSON object, whatever was sent
#[cfg(test)]
mod login; // a login lands where it started, and the app knows who it is
#[cfg(test)]
mod looking_after; // operators see who is signed in and end sessions, over a socket of their own
#[cfg(test)]
mod memory; // what attackers and slow people hold of it is bounded, and given back
#[cfg(test)]
mod missing_files; // a file that is not there is not done without
#[cfg(test)]
mod outages; // whatever is out of order behind the gate, the answer is defined
#[cfg(test)]
mod outbound; // what the gate connects to, and whom it believes there
#[cfg(test)]
mod overload; // too much at once costs those least who are in
#[cfg(test)]
mod own_answers; // what a route answers by itself is the operator's, and nobody's who may not have it
#[cfg(test)]
mod passage; // what is permitted passes as it is: bodies, streams, upgrades, connections
#[cfg(test)]
mod pipelining; // each request of a connection is judged by itself
#[cfg(test)]
mod plain_oauth2; // a provider without ID tokens: userinfo says who it is, or nobody is in
#[cfg(test)]
mod policy; // who may pass: claims, denials, addresses, and a sign-in that is strong and fresh enough
#[cfg(test)]
mod proxy_protocol; // a trusted proxy says whose a connection is, and nobody else does
#[cfg(test)]
mod real_upstreams; // servers that others wrote see no request that the gate did not send
#[cfg(test)]
mod registry; // images are pushed and pulled in one piece and in many, and nothing of them is kept
#[cfg(test)]
mod regressions; // what an attack once found, held shut
#[cfg(test)]
mod renewal; // the provider is asked again, once, and nobody notices
#[cfg(test)]
mod sample_app; // the demo's app shows, echoes and streams
#[cfg(test)]
mod server_tls; // TLS of our own: what is offered, to whom, and that a renewal is not noticed
#[cfg(test)]
mod service_manager; // systemd's sockets are served, and it hears how it goes
#[cfg(test)]
mod serving; // connections, limits, reloads, panics, and who is believed about the client
#[cfg(test)]
mod session_lifetime; // a session ends when it should, and not before
#[cfg(test)]
mod several_providers; // one provider's word is never taken for another's
#[cfg(test)]
mod shared_cache; // a cache in front shows nobody what is another's
#[cfg(test)]
mod signing_out; // signing out ends the session here first, whatever the provider does
#[cfg(test)]
mod single_page_apps; // what an app of one page needs to know about its session
#[cfg(test)]
mod stores; // one life of a session, whatever it is kept in
#[cfg(test)]
mod support;
#[cfg(test)]
mod surroundings; // the machine around the process: its names, its roots, its environment
#[cfg(test)]
mod tunnels; // the end of a tunnel is told in its own language, and an idle one costs little
#[cfg(test)]
mod websockets; // messages of others' WebSockets come and go as they are, whatever their size
