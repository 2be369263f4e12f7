//! Test only.
pub mod random;
