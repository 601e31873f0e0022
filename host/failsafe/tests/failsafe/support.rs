//! Records that the tests share.

pub(crate) use baton_store_contract::sketch::{
    LEASE, TTL, audit, long_line as line, node, recovery,
};
