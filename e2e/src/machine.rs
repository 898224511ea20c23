//! Which tests run beside each other: most share the machine, and a test whose load would break the deadlines of
//! others has it alone.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::new(());

thread_local! {
    /// What the test on this thread holds. All its benches hold the same: a second share could wait for a test that
    /// waits for the first.
    static HELD: RefCell<Weak<Share>> = const { RefCell::new(Weak::new()) };
}

/// A part of the machine, or all of it, until a test drops the last of its handles.
#[derive(Default)]
pub struct Share {
    _common: Option<RwLockReadGuard<'static, ()>>,
    _alone: Option<RwLockWriteGuard<'static, ()>>,
}

/// Waits until no test has the machine alone. A test that has it alone goes on having it.
pub(crate) fn share() -> Rc<Share> {
    let common = || Share {
        _common: Some(MACHINE.read().unwrap_or_else(PoisonError::into_inner)),
        ..Share::default()
    };
    HELD.with_borrow_mut(|held| held.upgrade().unwrap_or_else(|| hold(held, common())))
}

/// Waits until no other test has a bench, and lets none have one; before the test's own first bench.
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
