//! The lock that schedules tests: most tests share the machine, and a test with a load that would break the deadlines
//! of other tests has the machine alone.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::new(());

thread_local! {
    /// The share that the test on this thread holds. All benches of the test hold the same share: a second share
    /// could wait for a test that waits for the first share.
    static HELD: RefCell<Weak<Share>> = const { RefCell::new(Weak::new()) };
}

/// A part of the machine, or all of it, until a test drops the last of its handles.
#[derive(Default)]
pub struct Share {
    _common: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

/// Waits until no other test has the machine alone. A test that has the machine alone keeps it.
pub(crate) fn share() -> Rc<Share> {
    let common = || Share {
        _common: Some(MACHINE.read().unwrap_or_else(PoisonError::into_inner)),
        ..Share::default()
    };
    HELD.with_borrow_mut(|held| held.upgrade().unwrap_or_else(|| hold(held, common())))
}

/// Waits until no other test has a bench, and keeps other tests from having a bench. A test calls this before its own
/// first bench.
pub fn alone() -> Rc<Share> {
    let alone = || Share {
        _alone: Some(MACHINE.write().unwrap_or_else(PoisonError::into_inner)),
        ..Share::default()
    };
    HELD.with_borrow_mut(|held| {
        assert!(held.upgrade().is_none(), "a test that has a bench would wait for itself");
        hold(held, alone())
    })
}

fn hold(held: &mut Weak<Share>, share: Share) -> Rc<Share> {
    let share = Rc::new(share);
    *held = Rc::downgrade(&share);
    share
}
