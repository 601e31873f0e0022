//! What the built-in policies say of themselves.

use super::fixture::{builtin_selector, cautious_policy, default_policy};

#[test]
fn they_are_named_after_their_crates() {
    assert_eq!(default_policy().label(), "failover-default@0.1.0");
    assert_eq!(cautious_policy().label(), "failover-cautious@0.1.0");
    assert_eq!(default_policy().digest().len(), 64);
    for name in [
        "backend-first",
        "backend-prefer-synchronous",
        "backend-nearest",
    ] {
        assert_eq!(builtin_selector(name).label(), format!("{name}@0.1.0"));
    }
}
