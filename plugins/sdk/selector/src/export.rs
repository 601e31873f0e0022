//! From [`BackendSelector`](crate::BackendSelector) to the exports of a component.

/// Exports a [`BackendSelector`](crate::BackendSelector) from this crate, which must be a `cdylib`. Once per crate.
#[macro_export]
macro_rules! export_selector {
    ($selector:ty) => {
        struct BatonSelectorComponent;

        const _: () = {
            use $crate::bindings::exports::baton::policy::{plugin, selector};

            $crate::export_plugin!(BatonSelectorComponent, $selector as $crate::BackendSelector);

            impl selector::Guest for BatonSelectorComponent {
                fn select(
                    question: selector::SelectQuestion,
                ) -> ::std::result::Result<selector::Selection, ::std::string::String> {
                    ask(|policy| $crate::BackendSelector::select(policy, &question))
                }
            }
        };

        $crate::bindings::export_component!(BatonSelectorComponent with_types_in $crate::bindings);
    };
}
