//! Migrations without a kill.
