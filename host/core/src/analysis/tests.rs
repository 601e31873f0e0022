//! Tables and small worlds.
