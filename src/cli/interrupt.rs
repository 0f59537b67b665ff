//! Ctrl-C: the command owns the flag, the solvers read it.

use super::console::complain;
use crate::solve::StopFlag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit status after an abort: 128 + SIGINT, as shells do.
const ABORTED: i32 = 130;

/// A flag that the first Ctrl-C raises, so that the fit ends with the best it has; the second one aborts.
pub(super) fn stop_flag() -> StopFlag {
    let flag: StopFlag = Arc::new(AtomicBool::new(false));
    let raised = flag.clone();
    let handler = move || {
        if raised.swap(true, Ordering::SeqCst) {
            std::process::exit(ABORTED);
        }
        complain("\nstopping after this iteration; what there is will be written. Press Ctrl-C again to abort.");
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tracing::debug!("Ctrl-C will abort at once: {error}");
    }
    flag
}
