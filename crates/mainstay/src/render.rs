//! How things look on a screen. Pure text in, text out; nothing here writes.

pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod color;
pub(crate) mod explain;
pub(crate) mod log;
pub(crate) mod size;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod time;
