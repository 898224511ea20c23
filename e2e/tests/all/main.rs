//! Tests of the real binaries over real sockets, in one program: a module for each part of the contract.

mod best;
mod by_hand;
mod chaos;
mod data;
mod folders;
mod hostile;
mod imports;
mod kolen_pollack;
mod ledger;
mod longer;
mod metrics;
mod old_runs;
mod overlap;
mod primitives;
mod reading;
mod resnet;
mod resume;
mod sweep;
mod tensorboard;
mod transparency;
mod trouble;
mod wire;
mod words;
mod zero;
