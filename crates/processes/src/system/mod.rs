//! What the system tells of processes.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod other;

#[cfg(target_os = "linux")]
pub use linux::{boot_id, sees_all_processes};
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    contained, ignores, is_stopped, process, processes, running_system, shares_view, variables,
};
#[cfg(not(target_os = "linux"))]
pub use other::{boot_id, sees_all_processes};
#[cfg(not(target_os = "linux"))]
pub(crate) use other::{
    contained, ignores, is_stopped, process, processes, running_system, shares_view, variables,
};
