//! Processes of one host: their sockets, and links through shared memory.

mod sockets;
mod transports;
mod unix_nodes;
