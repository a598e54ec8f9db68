//! Threads, where the system may give none.

use std::thread::{Builder, Scope};

use anyhow::Context;

/// Starts a thread.
///
/// # Errors
/// If there is none to be had.
pub fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> anyhow::Result<()> {
    Builder::new().spawn_scoped(scope, work).context("no thread can be started")?;
    Ok(())
}

/// Starts `jobs` threads, each with work of its own, or fewer if there are no more to be had: those do it as well.
///
/// # Errors
/// If there is none.
pub fn start_some<'scope, F: FnOnce() + Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    jobs: usize,
    work: impl Fn() -> F,
) -> anyhow::Result<()> {
    start(scope, work())?;
    (1..jobs).try_for_each(|_| start(scope, work())).or(Ok(()))
}
