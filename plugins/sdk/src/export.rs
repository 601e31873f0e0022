//! From [`FailoverPolicy`](crate::FailoverPolicy) to the exports of a component.

use crate::bindings::exports::baton::policy::plugin::Identity;
use crate::{FailoverPolicy, Level, Settings, log};

/// Sends the text of a panic to Baton's log. Without it the host sees a bare trap: on this target nothing else keeps the message.
#[doc(hidden)]
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
}

#[doc(hidden)]
pub fn describe<P: FailoverPolicy>() -> Identity {
    let mut settings = Settings::describing();
    let _ = P::configure(&mut settings);
    Identity {
        name: P::NAME.to_owned(),
        version: P::VERSION.to_owned(),
        description: P::DESCRIPTION.to_owned(),
        settings_schema: settings.into_schema(),
        wants: P::WANTS.iter().map(|&want| want.to_owned()).collect(),
        extra: None,
    }
}

/// Exports a [`FailoverPolicy`](crate::FailoverPolicy) from this crate, which must be a `cdylib`. Once per crate.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        struct BatonPolicyComponent;

        const _: () = {
            use $crate::bindings::exports::baton::policy::{failover, plugin};

            ::std::thread_local! {
                static POLICY: ::std::cell::OnceCell<$policy> = const { ::std::cell::OnceCell::new() };
            }

            fn ask<T>(
                question: impl FnOnce(&$policy) -> ::std::result::Result<T, ::std::string::String>,
            ) -> ::std::result::Result<T, ::std::string::String> {
                POLICY.with(|policy| match policy.get() {
                    ::std::option::Option::Some(policy) => question(policy),
                    ::std::option::Option::None => {
                        ::std::result::Result::Err("asked before configure".into())
                    }
                })
            }

            impl plugin::Guest for BatonPolicyComponent {
                fn metadata() -> plugin::Identity {
                    $crate::install_panic_hook();
                    $crate::describe::<$policy>()
                }

                fn configure(
                    text: ::std::string::String,
                ) -> ::std::result::Result<(), ::std::vec::Vec<plugin::SettingsProblem>> {
                    $crate::install_panic_hook();
                    let mut settings = $crate::Settings::parse(&text)?;
                    let policy = <$policy as $crate::FailoverPolicy>::configure(&mut settings);
                    settings.finish()?;
                    // The host calls this once per instance; a second call would find the first settings in force.
                    POLICY.with(|cell| {
                        cell.set(policy).map_err(|_| {
                            ::std::vec![plugin::SettingsProblem {
                                path: ::std::string::String::new(),
                                message: "configured twice in one instance".into(),
                            }]
                        })
                    })
                }
            }

            impl failover::Guest for BatonPolicyComponent {
                fn assess(
                    question: failover::AssessQuestion,
                ) -> ::std::result::Result<failover::Assessment, ::std::string::String> {
                    ask(|policy| $crate::FailoverPolicy::assess(policy, &question))
                }

                fn rank(
                    question: failover::RankQuestion,
                ) -> ::std::result::Result<failover::Ranking, ::std::string::String> {
                    ask(|policy| $crate::FailoverPolicy::rank(policy, &question))
                }
            }
        };

        $crate::bindings::export_component!(BatonPolicyComponent with_types_in $crate::bindings);
    };
}
