//! SPDY/3.1 as far as Kubernetes' clients and nodes speak it: many streams with
//! headers on one connection.
//!
//! `headers` packs and unpacks header blocks, `frame` is the wire form without
//! I/O, `connection` runs it. Written against the SPDY/3.1 draft; the peers met
//! in practice (client-go and the kubelet) deviate in one respect that matters:
//! they neither send WINDOW_UPDATE nor heed it. See `connection`.

pub(crate) mod connection;
mod frame;
mod headers;

pub(crate) use connection::Connection;
pub(crate) use headers::Headers;
