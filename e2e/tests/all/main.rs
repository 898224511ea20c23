//! Tests of the real binaries over real sockets, in one program: a module for each part of the contract.

mod best;
mod by_hand;
mod chaos;
mod hostile;
mod kolen_pollack;
mod metrics;
mod old_runs;
mod overlap;
mod resnet;
mod resume;
mod sweep;
mod tensorboard;
mod transparency;
mod trouble;
mod words;
