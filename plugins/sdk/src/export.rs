//! From [`FailoverPolicy`](crate::FailoverPolicy) to the exports of a component, and what selectors share of that.

use crate::{Level, Settings, log};

/// Sends the text of a panic to Baton's log. Without it the host sees a bare trap: on this target nothing else keeps the message.
#[doc(hidden)]
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
}

/// The JSON Schema of what a policy reads of its settings.
#[doc(hidden)]
pub fn schema_of<P>(configure: impl FnOnce(&mut Settings) -> P) -> String {
    let mut settings = Settings::describing();
    configure(&mut settings);
    settings.into_schema()
}

/// What components of both worlds export: who they are, and their settings.
#[doc(hidden)]
#[macro_export]
macro_rules! export_plugin {
    ($component:ident, $policy:ty as $kind:path) => {
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

        fn configured(
            text: &str,
        ) -> ::std::result::Result<(), ::std::vec::Vec<$crate::SettingsProblem>> {
            let mut settings = $crate::Settings::parse(text)?;
            let policy = <$policy as $kind>::configure(&mut settings);
            settings.finish()?;
            // The host calls this once per instance; a second call would find the first settings in force.
            POLICY.with(|cell| {
                cell.set(policy).map_err(|_| {
                    ::std::vec![$crate::SettingsProblem {
                        path: ::std::string::String::new(),
                        message: "configured twice in one instance".into(),
                    }]
                })
            })
        }

        impl plugin::Guest for $component {
            fn metadata() -> plugin::Identity {
                $crate::install_panic_hook();
                plugin::Identity {
                    name: <$policy as $kind>::NAME.to_owned(),
                    version: <$policy as $kind>::VERSION.to_owned(),
                    description: <$policy as $kind>::DESCRIPTION.to_owned(),
                    settings_schema: $crate::schema_of(<$policy as $kind>::configure),
                    wants: <$policy as $kind>::WANTS
                        .iter()
                        .map(|&want| want.to_owned())
                        .collect(),
                    extra: ::std::option::Option::None,
                }
            }

            fn configure(
                text: ::std::string::String,
            ) -> ::std::result::Result<(), ::std::vec::Vec<plugin::SettingsProblem>> {
                $crate::install_panic_hook();
                configured(&text).map_err(|problems| {
                    problems
                        .into_iter()
                        .map(|problem| plugin::SettingsProblem {
                            path: problem.path,
                            message: problem.message,
                        })
                        .collect()
                })
            }
        }
    };
}

/// Exports a [`FailoverPolicy`](crate::FailoverPolicy) from this crate, which must be a `cdylib`. Once per crate.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        struct BatonPolicyComponent;

        const _: () = {
            use $crate::bindings::exports::baton::policy::{failover, plugin};

            $crate::export_plugin!(BatonPolicyComponent, $policy as $crate::FailoverPolicy);

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
